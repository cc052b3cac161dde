import pino from 'pino';

export type Logger = pino.Logger;
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Bytes of log that may wait for a stalled reader before lines are dropped. */
const LOG_BYTES_MAX = 1_048_576;

/**
 * Logs JSON lines to a file descriptor without ever blocking the thread.
 *
 * pino's default destination blocks for ever when stdout stalls (10.4); this one drops past `LOG_BYTES_MAX`
 * and counts what it dropped.
 */
export function createLogger(options: {
  readonly level: LogLevel;
  /** 1 stdout, 2 stderr. */
  readonly fd: number;
  readonly onDrop: () => void;
}): { readonly log: Logger; readonly flush: () => Promise<void> } {
  const destination = pino.destination({ fd: options.fd, sync: false, maxLength: LOG_BYTES_MAX });
  destination.on('drop', options.onDrop);
  const log = pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return {
    log,
    flush: () => new Promise((resolve) => destination.flush(() => resolve())),
  };
}

/** For tests and short-lived commands that want no log. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

/** A logger whose lines go to `relay`, for a process that has its parent log them. */
export function relayingLogger(level: string, relay: (line: string) => void): Logger {
  return pino({ level, base: null }, { write: relay });
}

/** Logs what a `relayingLogger` in another process has written. */
export function relayLogLine(log: Logger, line: string): void {
  const { level, msg, time: _time, ...fields } = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const name = pino.levels.labels[Number(level)] as LogLevel | undefined;
  log[name ?? 'info'](fields, String(msg));
}

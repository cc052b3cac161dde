import pino from 'pino';
import type { LogLevel } from '../domain/log-level.ts';

export type Logger = pino.Logger;

/** Most bytes of log that may wait for a stalled reader. Then lines are dropped. */
const LOG_BYTES_MAX = 1_048_576;

/**
 * Logs JSON lines to a file descriptor and never blocks the thread.
 *
 * pino's default destination blocks while stdout stalls (pino 10.4). This one drops lines beyond `LOG_BYTES_MAX` and
 * reports each to `onDrop`.
 */
export function createLogger(options: {
  readonly level: LogLevel;
  /** 1 stdout, 2 stderr. */
  readonly fd: number;
  readonly onDrop: () => void;
  /** Receives a copy of each line. */
  readonly recent?: RecentLog | undefined;
}): { readonly log: Logger; readonly flush: () => Promise<void> } {
  const destination = pino.destination({ fd: options.fd, sync: false, maxLength: LOG_BYTES_MAX });
  destination.on('drop', options.onDrop);
  const { recent } = options;
  const write = (line: string): void => {
    recent?.add(line);
    destination.write(line);
  };
  const settings = { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  const log = pino(settings, recent === undefined ? destination : { write });
  return {
    log,
    flush: () => new Promise((resolve) => destination.flush(() => resolve())),
  };
}

/** Returns a logger without output, for tests and short commands. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

/** Returns a logger that passes its lines to `relay`, for a child process that logs through its parent. */
export function relayingLogger(level: string, relay: (line: string) => void): Logger {
  return pino({ level, base: null }, { write: relay });
}

/** Logs a line of the `relayingLogger` of another process. */
export function relayLogLine(log: Logger, line: string): void {
  const { level, msg, time: _time, ...fields } = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const name = pino.levels.labels[Number(level)] as LogLevel | undefined;
  log[name ?? 'info'](fields, String(msg));
}

/** Lines of the log that are kept for the page and the API. */
const LINES_MAX = 1_000;
/** Longest kept line. A longer one is left out of the ring, not of the log. */
const LINE_LENGTH_MAX = 16_384;

/** The last lines of this process' log, as they were written. */
export class RecentLog {
  readonly #lines: string[] = [];
  #next = 0;

  add(line: string): void {
    if (line.length > LINE_LENGTH_MAX) return;
    this.#lines[this.#next] = line;
    this.#next = (this.#next + 1) % LINES_MAX;
  }

  /** Returns the lines, oldest first. */
  lines(): readonly string[] {
    return [...this.#lines.slice(this.#next), ...this.#lines.slice(0, this.#next)];
  }
}

import { execFile } from 'node:child_process';
import { errorMessage } from './errors.ts';
import type { Logger } from './log.ts';

/** Longest time of one notification. systemd-notify needs about 10 ms. */
const NOTIFY_TIMEOUT_MS = 5_000;

/** Notifies the service manager. Does nothing without one. */
export interface ServiceManager {
  /** Watchdog interval of systemd (`WatchdogSec`); undefined if the watchdog is off. */
  readonly watchdogMs: number | undefined;
  /** @param state Lines of sd_notify(3): `READY=1`, `WATCHDOG=1`, `STATUS=…`, `STOPPING=1`, `RELOADING=1`. */
  notify(...state: readonly string[]): void;
}

/**
 * Notifies systemd with the program `systemd-notify`, because Node has no Unix datagram sockets. The unit needs
 * `NotifyAccess=all`. Calls run one at a time, so that states keep their order.
 */
export function systemdServiceManager(env: NodeJS.ProcessEnv, log: Logger): ServiceManager {
  const socket = env['NOTIFY_SOCKET'];
  const watchdogUs = Number(env['WATCHDOG_USEC'] ?? 0);
  let last: Promise<void> = Promise.resolve();
  const run = (state: readonly string[]) =>
    new Promise<void>((resolve) => {
      execFile(
        'systemd-notify',
        [...state],
        { timeout: NOTIFY_TIMEOUT_MS, env: { PATH: env['PATH'], NOTIFY_SOCKET: socket } },
        (error) => {
          if (error !== null) log.warn({ state, reason: errorMessage(error) }, 'systemd-notify failed.');
          resolve();
        },
      );
    });
  return {
    watchdogMs: watchdogUs > 0 ? watchdogUs / 1000 : undefined,
    notify: (...state) => {
      if (socket === undefined || socket === '') return;
      last = last.then(() => run(state));
    },
  };
}

import { execFile } from 'node:child_process';
import { errorMessage } from './errors.ts';
import type { Logger } from './log.ts';

/** Longest that one notification may take; systemd-notify needs about 10 ms. */
const NOTIFY_TIMEOUT_MS = 5_000;

/** Speaks to the service manager; does nothing where there is none. */
export interface ServiceManager {
  /** How often systemd wants a sign of life (`WatchdogSec`), milliseconds; undefined where it asks for none. */
  readonly watchdogMs: number | undefined;
  /** @param state Lines of sd_notify(3): `READY=1`, `WATCHDOG=1`, `STATUS=…`, `STOPPING=1`, `RELOADING=1`. */
  notify(...state: readonly string[]): void;
}

/**
 * Notifies systemd through its own `systemd-notify`, as Node has no datagram sockets of the unix kind.
 * The unit must allow it with `NotifyAccess=all`. One call at a time: states keep their order.
 */
export function systemdServiceManager(env: NodeJS.ProcessEnv, log: Logger): ServiceManager {
  const socket = env['NOTIFY_SOCKET'];
  const watchdogUs = Number(env['WATCHDOG_USEC'] ?? 0);
  let last: Promise<void> = Promise.resolve();
  const run = (state: readonly string[]) =>
    new Promise<void>((resolve) => {
      execFile('systemd-notify', [...state], { timeout: NOTIFY_TIMEOUT_MS, env }, (error) => {
        if (error !== null) log.warn({ state, reason: errorMessage(error) }, 'systemd was not notified.');
        resolve();
      });
    });
  return {
    watchdogMs: watchdogUs > 0 ? watchdogUs / 1000 : undefined,
    notify: (...state) => {
      if (socket === undefined || socket === '') return;
      last = last.then(() => run(state));
    },
  };
}

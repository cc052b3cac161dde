import { fork } from 'node:child_process';
import { once } from 'node:events';
import { childEnvironment } from '../platform/child-environment.ts';
import { brokerEntry } from '../platform/entries.ts';
import { plantFailure } from './plant-errors.ts';

/**
 * Starts the embedded broker in a separate process, as on a real site. Resolves when it listens on 127.0.0.1.
 *
 * @param port 0 selects a free one.
 * @throws {OperatingError} 'plant-exited' (retry), for example if the port is in use.
 */
export async function startBrokerProcess(port: number): Promise<AsyncDisposable & { readonly port: number }> {
  const child = fork(brokerEntry, [String(port)], { env: childEnvironment() });
  const exit = once(child, 'exit');
  const listens = await Promise.race([once(child, 'message'), exit.then(() => undefined)]);
  if (listens === undefined) throw plantFailure('plant-exited', `The embedded broker did not start on port ${port}`);
  // The entry file sends one message, with its port.
  const { port: listening } = listens[0] as { readonly port: number };
  const stop = async () => {
    if (child.connected) child.disconnect();
    if (child.exitCode === null && child.signalCode === null) await exit;
  };
  return { port: listening, [Symbol.asyncDispose]: stop };
}

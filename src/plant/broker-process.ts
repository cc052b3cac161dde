import { fork } from 'node:child_process';
import { once } from 'node:events';
import { entryFile } from '../platform/entry-file.ts';
import { plantFailure } from './plant-errors.ts';

/**
 * Starts the embedded broker in a process of its own, as a broker is on a real site. Resolves once it listens on 127.0.0.1.
 *
 * @param port 0 takes a free one.
 * @throws {OperatingError} 'plant-exited' (retry), as when the port is taken.
 */
export async function startBrokerProcess(port: number): Promise<AsyncDisposable & { readonly port: number }> {
  const child = fork(entryFile(import.meta.url, '../hosts/broker.ts'), [String(port)]);
  const exit = once(child, 'exit');
  const told = await Promise.race([once(child, 'message'), exit.then(() => undefined)]);
  if (told === undefined) throw plantFailure('plant-exited', `The embedded broker did not start on port ${port}`);
  // The only message of our own entry file: it listens, and where.
  const { port: listening } = told[0] as { readonly port: number };
  const stop = async () => {
    if (child.connected) child.disconnect();
    if (child.exitCode === null && child.signalCode === null) await exit;
  };
  return { port: listening, [Symbol.asyncDispose]: stop };
}

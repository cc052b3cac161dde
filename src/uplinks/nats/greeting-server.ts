import { connect } from 'node:net';
import type { Clock } from '../../platform/clock.ts';
import { UplinkError } from '../uplink-errors.ts';

const DEFAULT_PORT = 4222;

/**
 * Returns the first server that sends its greeting (INFO).
 *
 * nats.js 3.4 does not close the socket of a server that accepts a connection and then sends nothing. Each attempt would leave
 * one open. So the library connects only to a server that has sent its greeting on a connection of this function.
 *
 * @throws {UplinkError} 'uplink-unreachable' (retry) None of them sent one within the time.
 */
export async function greetingServer(
  urls: readonly string[],
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<string> {
  const reasons: string[] = [];
  for (const url of urls) {
    const reason = await greetingFault(new URL(url), timeoutMs, clock, signal);
    if (reason === undefined) return url;
    reasons.push(`${url}: ${reason}`);
  }
  throw new UplinkError('uplink-unreachable', `No connection to ${reasons.join('; ')}`);
}

/** @returns Why the server did not greet; undefined if it did. */
function greetingFault(
  { hostname, port }: URL,
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    // Brackets of an IPv6 address belong to the URL only.
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const socket = connect({ host, port: port === '' ? DEFAULT_PORT : Number(port), signal });
    const end = (reason: string | undefined) => {
      timer.cancel();
      socket.destroy();
      resolve(reason);
    };
    const timer = clock.setTimer(() => end(`no greeting within ${timeoutMs} ms`), timeoutMs);
    socket.once('data', (bytes: Buffer) =>
      end(bytes.toString('latin1').startsWith('INFO ') ? undefined : 'the server is not a NATS server'),
    );
    socket.once('end', () => end('the server closed the connection'));
    socket.once('error', (error) => end(error.message));
  });
}

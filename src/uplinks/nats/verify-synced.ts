import { sleep } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage } from '../../platform/errors.ts';
import { OutgoingHttp } from '../../protocols/http/outgoing-http.ts';
import { UplinkError } from '../uplink-errors.ts';

/**
 * Checks at the monitoring endpoint that the server writes each message to disk before it acknowledges it.
 * An endpoint that does not answer is logged and proves nothing.
 *
 * @throws {UplinkError} 'uplink-stream-unfit' (retry) The server syncs later.
 */
export async function verifySynced(monitor: string, timeoutMs: number, deps: Deps, signal: AbortSignal): Promise<void> {
  const config = await jetStreamConfig(monitor, timeoutMs, deps, signal);
  if (config === undefined || config.sync_always === true) return;
  const intervalS = (config.sync_interval ?? 0) / 1e9;
  throw new UplinkError(
    'uplink-stream-unfit',
    `The server writes to disk every ${intervalS} s, but durability: synced is declared. Set sync_interval: always in the section jetstream of the server, or declare durability: none`,
  );
}

type JetStreamConfig = { readonly sync_always?: boolean; readonly sync_interval?: number };

async function jetStreamConfig(
  monitor: string,
  timeoutMs: number,
  { clock, log }: Deps,
  signal: AbortSignal,
): Promise<JetStreamConfig | undefined> {
  const call = new AbortController();
  const done = new AbortController();
  void sleep(clock, timeoutMs, done.signal).then(() => call.abort());
  const http = new OutgoingHttp({ tls: {}, connectTimeoutMs: timeoutMs, connections: 1, responseBytesMax: 1_000_000 });
  try {
    const { origin } = new URL(monitor);
    const { statusCode, body } = await http.request({
      origin,
      method: 'GET',
      path: '/jsz?config=true',
      signal: AbortSignal.any([call.signal, signal]),
    });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`HTTP ${statusCode}`);
    return (JSON.parse(text) as { readonly config?: JetStreamConfig }).config ?? {};
  } catch (error) {
    if (signal.aborted) return undefined;
    log.warn({ monitor }, `sync_interval of the NATS server cannot be verified: ${errorMessage(error)}`);
    return undefined;
  } finally {
    done.abort();
    await http.destroy();
  }
}

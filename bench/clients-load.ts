import { type HttpClient, type HttpClientKind, openClient } from './http-clients.ts';
import { servePeer } from './peer.ts';
import { machineMs } from './workload.ts';

/*
 * Clients in a process of their own: each sends one request after another, either as soon as the last one is answered or at a
 * common rate.
 */

export type ClientsLoad = {
  readonly url: string;
  readonly body: string;
  readonly client: HttpClientKind;
  readonly clients: number;
  /** Rate of all clients together; undefined sends the next request after each answer. */
  readonly requestsPerSecond: number | undefined;
  /** Expected status of every answer. */
  readonly status: number;
  readonly durationMs: number;
};

export type ClientsProtocol = {
  /** @returns Answers per second. */
  readonly send: { readonly params: ClientsLoad; readonly result: number };
};

servePeer<ClientsProtocol>({ send });

async function send(load: ClientsLoad): Promise<number> {
  const { url, body, durationMs, requestsPerSecond } = load;
  const clients = await Promise.all(Array.from({ length: load.clients }, () => openClient(load.client, url, body)));
  const intervalMs = requestsPerSecond === undefined ? 0 : (1000 * clients.length) / requestsPerSecond;
  let answers = 0;
  const fromMs = machineMs();
  const endMs = fromMs + durationMs;
  await Promise.all(clients.map(lane));
  for (const client of clients) client[Symbol.dispose]();
  return (answers * 1000) / (machineMs() - fromMs);

  async function lane(client: HttpClient, index: number): Promise<void> {
    // At a rate, the clients take turns. A client whose turn has passed sends immediately.
    let dueMs = fromMs + (intervalMs * index) / clients.length;
    while (Math.max(dueMs, machineMs()) < endMs) {
      const waitMs = dueMs - machineMs();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      const status = await client.send();
      if (status !== load.status) throw new Error(`${url} answered ${status}, not ${load.status}`);
      answers += 1;
      dueMs += intervalMs;
    }
  }
}

import { HttpConnection, postRequest } from './http-connection.ts';
import { servePeer } from './peer.ts';
import { percentile } from './statistics.ts';
import { machineMs } from './workload.ts';

/*
 * Visitors, in a process of their own: connections that send one request after another, as fast as they are answered or
 * at a rate between them.
 */

export type VisitorsLoad = {
  readonly url: string;
  readonly body: string;
  readonly connections: number;
  /** Of all connections together; undefined sends the next request with each answer. */
  readonly requestsPerSecond: number | undefined;
  /** What the requests are answered with, where not with 503. */
  readonly status: number;
  readonly durationMs: number;
};

export type VisitorsRun = {
  /** Answered with that status. */
  readonly answersPerSecond: number;
  /** Told to come again (503). */
  readonly refused: number;
  readonly latencyMsP50: number;
  readonly latencyMsP99: number;
};

export type VisitorsProtocol = { readonly visit: { readonly params: VisitorsLoad; readonly result: VisitorsRun } };

servePeer<VisitorsProtocol>({ visit });

async function visit(load: VisitorsLoad): Promise<VisitorsRun> {
  const request = postRequest(load.url, load.body);
  const connections = await Promise.all(Array.from({ length: load.connections }, () => HttpConnection.open(load.url)));
  const latenciesMs: number[] = [];
  let refused = 0;
  const fromMs = machineMs();
  const endMs = fromMs + load.durationMs;
  await Promise.all(connections.map((connection, index) => lane(connection, index)));
  const spentMs = machineMs() - fromMs;
  for (const connection of connections) connection[Symbol.dispose]();
  const sorted = Float64Array.from(latenciesMs).sort();
  return {
    answersPerSecond: (sorted.length * 1000) / spentMs,
    refused,
    latencyMsP50: percentile(sorted, 0.5),
    latencyMsP99: percentile(sorted, 0.99),
  };

  async function lane(connection: HttpConnection, index: number): Promise<void> {
    const intervalMs = load.requestsPerSecond === undefined ? 0 : (1000 * load.connections) / load.requestsPerSecond;
    let dueMs = fromMs + (intervalMs * index) / load.connections;
    while (dueMs < endMs && machineMs() < endMs) {
      if (intervalMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - machineMs())));
      const sentMs = machineMs();
      const status = await connection.send(request);
      if (status === load.status) latenciesMs.push(machineMs() - sentMs);
      else if (status === 503) refused += 1;
      else throw new Error(`${load.url} answered ${status}`);
      dueMs = Math.max(dueMs + intervalMs, intervalMs > 0 ? 0 : machineMs());
    }
  }
}

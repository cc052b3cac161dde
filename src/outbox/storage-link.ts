import { Worker } from 'node:worker_threads';
import { Backoff } from '../platform/backoff.ts';
import { sleep, type Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import { RpcClient, type RpcPort } from '../platform/rpc.ts';
import { outboxMetrics } from './file/outbox-metrics.ts';
import type { StorageOptions, StorageProtocol, StorageReport } from './file/storage-protocol.ts';

/** Time between two slices of upkeep, and the shorter time while more work is due. */
const UPKEEP_MS = 1000;
const UPKEEP_SOON_MS = 30;
/** A worker that does not answer within this time hangs on the disk and is replaced. */
const HUNG_MS = 60_000;
/** Opening may have to checkpoint a WAL, count rows, or copy and migrate files of several GB. */
const OPEN_MS = 600_000;
const CLOSE_MS = 10_000;

type Connection = { readonly worker: Worker; readonly rpc: RpcClient<StorageProtocol> };

export type StorageLinkOptions = {
  /** URL of hosts/storage-worker.ts. */
  readonly entry: URL;
  readonly storage: StorageOptions;
  /** Called after every slice of upkeep. */
  readonly onReport: (report: StorageReport) => void;
  /** Called when the worker is lost, with the reason. */
  readonly onDown: (reason: string) => void;
  readonly deps: Deps;
};

/**
 * Keeps a storage worker running: starts it, requests upkeep, and replaces it with backoff when it ends or hangs.
 * A worker that ends during a transaction leaves the file as before the transaction.
 */
export class StorageLink {
  readonly #options: StorageLinkOptions;
  readonly #backoff: Backoff;
  readonly #restarts;
  #connection: Connection | undefined;
  #timer: Timer | undefined;
  #closing = false;
  #busy = false;
  #lastTickMs: number;

  constructor(options: StorageLinkOptions) {
    const { clock, random, metrics } = options.deps;
    this.#options = options;
    this.#backoff = new Backoff({ firstMs: 100, maxMs: 30_000, random });
    this.#restarts = metrics.of(outboxMetrics).andon_outbox_worker_restarts_total;
    this.#lastTickMs = clock.monotonicMs();
  }

  /** @throws {OperatingError} 'outbox-path-unusable', or 'outbox-unavailable' if the worker does not start. */
  async start(): Promise<void> {
    await this.#connect();
  }

  /** Monotonic time of the worker's last answer. */
  get lastTickMs(): number {
    return this.#lastTickMs;
  }

  /** @throws {OperatingError} 'outbox-unavailable' (retry) while no worker runs, or the worker's own error. */
  async call<M extends keyof StorageProtocol>(
    method: M,
    params: StorageProtocol[M]['params'],
  ): Promise<StorageProtocol[M]['result']> {
    const connection = this.#connection;
    if (connection === undefined) throw unavailable('The storage worker is not running');
    this.#busy = true;
    const result = await connection.rpc.call(method, params);
    this.#lastTickMs = this.#options.deps.clock.monotonicMs();
    return result;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#timer?.cancel();
    const connection = this.#connection;
    if (connection === undefined) return;
    try {
      await connection.rpc.call('close', undefined, CLOSE_MS);
    } catch (error) {
      this.#options.deps.log.error({ err: errorMessage(error) }, 'The outbox did not close cleanly.');
    }
    this.#drop(connection, 'The storage worker is stopped');
    await connection.worker.terminate();
  }

  async #connect(): Promise<void> {
    const { entry, storage, deps } = this.#options;
    const worker = new Worker(entry, { workerData: storage, name: 'storage' });
    const rpc = new RpcClient<StorageProtocol>(workerPort(worker), deps.clock);
    const connection = { worker, rpc };
    worker.on('error', (error) => this.#lost(connection, `The storage worker failed: ${errorMessage(error)}`));
    worker.on('exit', (code) => this.#lost(connection, `The storage worker ended with code ${code}`));
    try {
      const report = await rpc.call('open', { nowMs: deps.clock.nowMs() }, OPEN_MS);
      this.#connection = connection;
      this.#answered(report);
    } catch (error) {
      this.#drop(connection, errorMessage(error));
      await worker.terminate();
      throw error;
    }
  }

  #answered(report: StorageReport): void {
    this.#lastTickMs = this.#options.deps.clock.monotonicMs();
    this.#options.onReport(report);
    this.#timer?.cancel();
    if (this.#closing) return;
    const delayMs = report.more ? UPKEEP_SOON_MS : UPKEEP_MS;
    this.#timer = this.#options.deps.clock.setTimer(() => void this.#upkeep(), delayMs, { background: true });
  }

  async #upkeep(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined || this.#closing) return;
    const idle = !this.#busy;
    this.#busy = false;
    try {
      const nowMs = this.#options.deps.clock.nowMs();
      this.#answered(await connection.rpc.call('upkeep', { nowMs, idle }, HUNG_MS));
    } catch (error) {
      this.#lost(connection, `The storage worker's upkeep failed: ${errorMessage(error)}`);
      await connection.worker.terminate();
    }
  }

  /** A worker ended unexpectedly. Starts others until one runs. */
  #lost(connection: Connection, reason: string): void {
    if (this.#connection !== connection) {
      connection.rpc.close(unavailable(reason));
      return;
    }
    this.#drop(connection, reason);
    if (this.#closing) return;
    this.#options.onDown(reason);
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (!this.#closing) {
      await sleep(this.#options.deps.clock, this.#backoff.nextMs());
      if (this.#closing) return;
      this.#restarts.inc();
      try {
        await this.#connect();
        this.#backoff.reset();
        return;
      } catch (error) {
        this.#options.onDown(`The storage worker does not start: ${errorMessage(error)}`);
      }
    }
  }

  #drop(connection: Connection, reason: string): void {
    if (this.#connection === connection) this.#connection = undefined;
    this.#timer?.cancel();
    connection.rpc.close(unavailable(reason));
  }
}

function workerPort(worker: Worker): RpcPort {
  return {
    // The lint rule is for browser windows. A worker thread has no origin.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.on('message', listener),
  };
}

function unavailable(message: string): OperatingError {
  return new OperatingError('outbox-unavailable', 'retry', message);
}

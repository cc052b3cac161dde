import { Worker } from 'node:worker_threads';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { Backoff } from '../platform/backoff.ts';
import { sleep, type Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import { RpcClient, type RpcProtocol } from '../platform/rpc.ts';
import { threadPort } from '../platform/rpc-ports.ts';

/** Time between two slices of upkeep, and the shorter time while more work is due. */
const UPKEEP_MS = 1000;
const UPKEEP_SOON_MS = 30;
/** A worker that does not answer within this time is reported as slow. */
const SLOW_MS = 5_000;
/** A worker that does not answer within this time hangs on the disk and is replaced. */
const HUNG_MS = 60_000;
/** Opening may have to checkpoint a WAL, count rows, or copy and migrate files of several GB. */
const OPEN_MS = 600_000;
const CLOSE_MS = 10_000;

/** State of a worker, returned by every slice of upkeep. `more` is true if the next slice is due soon. */
type WorkerReport = { readonly more: boolean };

/** Methods that every worker with databases has. */
export type WorkerLife<R extends WorkerReport> = {
  open: { readonly params: { readonly nowMs: EpochMs }; readonly result: R };
  upkeep: { readonly params: { readonly nowMs: EpochMs; readonly idle: boolean }; readonly result: R };
  close: { readonly params: undefined; readonly result: undefined };
};

type Connection<R extends WorkerReport> = { readonly worker: Worker; readonly rpc: RpcClient<WorkerLife<R>> };

export type WorkerLinkOptions<R extends WorkerReport> = {
  /** Name of the worker in messages, such as 'storage'. */
  readonly name: string;
  /** Error code of calls while no worker runs. */
  readonly lostCode: string;
  /** URL of the worker's file in hosts/. */
  readonly entry: URL;
  /** Returns the start options of a worker. */
  readonly workerData: () => unknown;
  /** Counts replaced workers. */
  readonly restarts: { inc(): void };
  /** Called after every slice of upkeep. */
  readonly onReport: (report: R) => void;
  /** Called when the worker is slow, with the reason. The next report ends it. */
  readonly onSlow: (reason: string) => void;
  /** Called when the worker is lost, with the reason. */
  readonly onDown: (reason: string) => void;
  readonly deps: Deps;
};

/**
 * Keeps a worker with databases running: starts it, requests upkeep, and replaces it with backoff when it ends or hangs.
 * A worker that ends during a transaction leaves the file as before the transaction.
 */
export class WorkerLink<P extends RpcProtocol & WorkerLife<R>, R extends WorkerReport> {
  readonly #options: WorkerLinkOptions<R>;
  readonly #backoff: Backoff;
  #connection: Connection<R> | undefined;
  /** A worker that opens its files. */
  #opening: Connection<R> | undefined;
  #connected = Promise.withResolvers<void>();
  #timer: Timer | undefined;
  #closing = false;
  #busy = false;
  #lastTickMs: number;

  constructor(options: WorkerLinkOptions<R>) {
    const { clock, random } = options.deps;
    this.#options = options;
    this.#backoff = new Backoff({ firstMs: 100, maxMs: 30_000, random });
    this.#lastTickMs = clock.monotonicMs();
  }

  /**
   * @param openAfter The worker opens its files after this.
   * @throws {OperatingError} The worker's own error, or `lostCode` if it does not start. {unknown} The error of `openAfter`.
   */
  async start(openAfter?: Promise<void>): Promise<void> {
    await this.#connect(openAfter);
  }

  /** Starts the worker in the background, with retries: for a part of the agent that must not prevent its start. */
  startInBackground(): void {
    this.#connect().catch((error: unknown) => {
      this.#notStarted(error);
      void this.#reconnect();
    });
  }

  /** Monotonic time of the worker's last answer. */
  get lastTickMs(): number {
    return this.#lastTickMs;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** Resolves when a worker runs, or when the link is closed. */
  async connected(): Promise<void> {
    await this.#connected.promise;
  }

  /**
   * @param moved Memory in `params` to transfer. It cannot be used here afterwards.
   * @throws {OperatingError} `lostCode` (retry) while no worker runs or if it ends, or the worker's own error.
   */
  async call<M extends keyof P & string>(
    method: M,
    params: P[M]['params'],
    moved?: readonly ArrayBuffer[],
  ): Promise<P[M]['result']> {
    const connection = this.#connection;
    if (connection === undefined) throw this.#workerLost('is not running');
    this.#busy = true;
    // The worker serves P, which includes the methods of every worker.
    const result = await (connection.rpc as unknown as RpcClient<P>).call(method, params, undefined, moved);
    this.#lastTickMs = this.#options.deps.clock.monotonicMs();
    return result;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#timer?.cancel();
    this.#connected.resolve();
    const connection = this.#connection;
    if (connection === undefined) return this.#endOpening();
    try {
      await connection.rpc.call('close', undefined, CLOSE_MS);
    } catch (error) {
      const text = `The ${this.#options.name} worker did not close its files cleanly.`;
      this.#options.deps.log.error({ err: errorMessage(error) }, text);
    }
    this.#drop(connection, 'is stopped');
    await connection.worker.terminate();
  }

  /** A worker that is left opening its files would keep the process alive. Its migrations are transactions. */
  async #endOpening(): Promise<void> {
    const opening = this.#opening;
    if (opening === undefined) return;
    opening.rpc.close(this.#workerLost('is stopped'));
    await opening.worker.terminate();
  }

  async #connect(openAfter?: Promise<void>): Promise<void> {
    const { name, entry, workerData, deps } = this.#options;
    const worker = new Worker(entry, { workerData: workerData(), name });
    const rpc = new RpcClient<WorkerLife<R>>(threadPort(worker), deps.clock);
    const connection = { worker, rpc };
    worker.on('error', (error) => this.#lost(connection, `failed: ${errorMessage(error)}`));
    worker.on('exit', (code) => this.#lost(connection, `ended with code ${code}`));
    this.#opening = connection;
    try {
      await openAfter;
      const report = await rpc.call('open', { nowMs: deps.clock.nowMs() }, OPEN_MS);
      this.#connection = connection;
      this.#connected.resolve();
      this.#answered(report);
    } catch (error) {
      this.#drop(connection, errorMessage(error));
      await worker.terminate();
      throw error;
    } finally {
      this.#opening = undefined;
    }
  }

  #answered(report: R): void {
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
    const { clock } = this.#options.deps;
    const idle = !this.#busy;
    this.#busy = false;
    const slow = clock.setTimer(() => this.#slow(connection), SLOW_MS, { background: true });
    try {
      this.#answered(await connection.rpc.call('upkeep', { nowMs: clock.nowMs(), idle }, HUNG_MS));
    } catch (error) {
      this.#lost(connection, `failed in its upkeep: ${errorMessage(error)}`);
      await connection.worker.terminate();
    } finally {
      slow.cancel();
    }
  }

  #slow(connection: Connection<R>): void {
    if (this.#connection !== connection || this.#closing) return;
    const { name, onSlow } = this.#options;
    onSlow(`The ${name} worker has not answered for ${SLOW_MS / 1000} s. The disk may be slow or failing`);
  }

  /** A worker ended unexpectedly. Starts others until one runs. */
  #lost(connection: Connection<R>, fate: string): void {
    if (this.#connection !== connection) {
      connection.rpc.close(this.#workerLost(fate));
      return;
    }
    this.#connected = Promise.withResolvers();
    this.#drop(connection, fate);
    if (this.#closing) return this.#connected.resolve();
    this.#options.onDown(`The ${this.#options.name} worker ${fate}`);
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (!this.#closing) {
      await sleep(this.#options.deps.clock, this.#backoff.nextMs());
      if (this.#closing) return;
      this.#options.restarts.inc();
      try {
        await this.#connect();
        this.#backoff.reset();
        return;
      } catch (error) {
        this.#notStarted(error);
      }
    }
  }

  #notStarted(error: unknown): void {
    this.#options.onDown(`The ${this.#options.name} worker does not start: ${errorMessage(error)}`);
  }

  #drop(connection: Connection<R>, fate: string): void {
    if (this.#connection === connection) this.#connection = undefined;
    this.#timer?.cancel();
    connection.rpc.close(this.#workerLost(fate));
  }

  #workerLost(fate: string): OperatingError {
    const { name, lostCode } = this.#options;
    return new OperatingError(lostCode, 'retry', `The ${name} worker ${fate}`);
  }
}

import { Worker } from 'node:worker_threads';
import type { ConfigurationProblem, TagTable } from '../http/configuration-editor.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import { RpcClient } from '../platform/rpc.ts';
import { threadPort } from '../platform/rpc-ports.ts';
import type { ConfigCheck, ConfigCheckProtocol } from './config-check.ts';
import { configurationFailure } from './configuration-errors.ts';

/** Checks that may wait; each keeps two texts of up to 4 MB. */
const WAITING_MAX = 4;
const CHECK_MS_MAX = 60_000;
/** The thread holds about 60 MB, which a box without an open editor should not pay for. */
const IDLE_MS = 60_000;

type Thread = { readonly worker: Worker; readonly rpc: RpcClient<ConfigCheckProtocol> };

/** Checks configurations in a thread, which starts with the first check and ends a minute after the last one. */
export class ConfigCheckThread implements AsyncDisposable {
  readonly #entry: URL;
  readonly #deps: Deps;
  #thread: Thread | undefined;
  #idleTimer: { cancel(): void } | undefined;

  /** @param entry URL of hosts/config-check.ts. */
  constructor(entry: URL, deps: Deps) {
    this.#entry = entry;
    this.#deps = deps;
  }

  /** @throws {OperatingError} 'configuration-check-failed' (retry). */
  check(request: ConfigCheck): Promise<readonly ConfigurationProblem[]> {
    return this.#run(({ rpc }) => rpc.call('check', request, CHECK_MS_MAX));
  }

  /** @throws {OperatingError} 'configuration-check-failed' (retry). */
  readTags(table: { readonly text: string; readonly type: string }): Promise<TagTable> {
    return this.#run(({ rpc }) => rpc.call('readTags', table, CHECK_MS_MAX));
  }

  async #run<Result>(call: (thread: Thread) => Promise<Result>): Promise<Result> {
    this.#idleTimer?.cancel();
    const thread = (this.#thread ??= this.#start());
    if (thread.rpc.pending >= WAITING_MAX)
      throw configurationFailure('configuration-check-failed', `${WAITING_MAX} checks are waiting; try again later`);
    try {
      return await call(thread);
    } catch (error) {
      if (!(error instanceof OperatingError) || error.code === 'configuration-check-failed') throw error;
      await this.#end(thread, error.message);
      throw configurationFailure('configuration-check-failed', `The text was not checked: ${error.message}`);
    } finally {
      this.#endWhenIdle(thread);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#idleTimer?.cancel();
    if (this.#thread !== undefined) await this.#end(this.#thread, 'the agent is stopping');
  }

  #start(): Thread {
    const worker = new Worker(this.#entry, { name: 'config-check' });
    const thread = { worker, rpc: new RpcClient<ConfigCheckProtocol>(threadPort(worker), this.#deps.clock) };
    worker.on('error', (error) => void this.#end(thread, errorMessage(error)));
    worker.on('exit', (code) => void this.#end(thread, `its thread ended with code ${code}`));
    return thread;
  }

  #endWhenIdle(thread: Thread): void {
    if (thread.rpc.pending > 0 || this.#thread !== thread) return;
    const end = (): void => void this.#end(thread, 'idle');
    this.#idleTimer = this.#deps.clock.setTimer(end, IDLE_MS, { background: true });
  }

  async #end(thread: Thread, reason: string): Promise<void> {
    if (this.#thread === thread) this.#thread = undefined;
    thread.rpc.close(configurationFailure('configuration-check-failed', `The text was not checked: ${reason}`));
    await thread.worker.terminate();
  }
}

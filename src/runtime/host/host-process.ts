import { type ChildProcess, fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { stripVTControlCharacters } from 'node:util';
import { childPort } from '../../platform/rpc-ports.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import { RpcClient } from '../../platform/rpc.ts';
import { isLoss } from '../../models/errors/host-loss.ts';
import type { HostProtocol } from '../session/host-protocol.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { hostEnvironment } from './host-environment.ts';
import { childFlags, YOUNG_MB } from '../../platform/heap-flags.ts';
import { makePrivateFolder } from '../../platform/private-folder.ts';
import { endsWithParent } from './parent-death.ts';

/** Last characters of stderr that are kept. */
const LAST_WORDS_MAX = 2_000;

/** Linux oom_score_adj, at most 1000; a host sets it at its start. */
const HOST_OOM_SCORE = 500;
/** A host that is about to take over, or was replaced, ends before the live one. */
const FIRST_OOM_SCORE = 800;

/** Start of a process on a busy machine. */
export const START_DEADLINE_MS = 30_000;

/** 'replaced': a fresh host took over. */
export type KillReason = 'timeout' | 'hang' | 'provider' | 'replaced' | 'stopped';

/** What every host runs with. */
export type HostOptions = {
  /** The host's entry file, `src/hosts/inference-host.ts`. */
  readonly entry: URL;
  /** `directory` absolute. */
  readonly config: ModelsConfig;
  readonly deps: Deps;
};

export type HostExit = {
  readonly reason: KillReason | 'crash';
  /** Detail for an operator: exit code or signal, and the last output on stderr. */
  readonly detail: string;
};

/** One inference host: a forked process, its protocol, and the reason of its end. It cannot be restarted. */
export class HostProcess {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #rpc: RpcClient<HostProtocol>;
  readonly #exited = Promise.withResolvers<HostExit>();
  /** Private to this user (0700); holds a model only while it is loaded, and is removed with the host. */
  readonly stagingDirectory: Promise<string>;
  #killed: KillReason | undefined;
  #lastWords = '';
  #lastAnswerMs: number | undefined;

  /** @param niceness 0–19, as of `nice`: processes with a lower value go first. */
  constructor(entry: URL, clock: Clock, niceness = 0) {
    this.#clock = clock;
    this.stagingDirectory = makePrivateFolder();
    // A load awaits it again and reports the failure; this only keeps the rejection from being unhandled.
    this.stagingDirectory.catch(() => undefined);
    const { args, ...start } = endsWithParent(childFlags(YOUNG_MB));
    this.#child = fork(entry, args, {
      ...start,
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: hostEnvironment(),
    });
    if (niceness > 0) lowerPriority(this.#child.pid, niceness);
    this.#rpc = new RpcClient<HostProtocol>(childPort(this.#child), clock);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS_MAX);
    });
    this.#child.on('error', (error) => void this.#end(`could not be started or reached: ${errorMessage(error)}`));
    this.#child.on(
      'close',
      (code, signal) => void this.#end(signal === null ? `exit code ${code}` : `signal ${signal}`),
    );
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** It was killed or its channel is gone: its end will be detected soon, and it must get no more work. */
  get doomed(): boolean {
    return this.#killed !== undefined || !this.#child.connected;
  }

  /** Monotonic time of its last answer; undefined before the first. */
  get lastAnswerMs(): number | undefined {
    return this.#lastAnswerMs;
  }

  /** Resolves when the process has ended. */
  get exited(): Promise<HostExit> {
    return this.#exited.promise;
  }

  /**
   * Sends a request to the host. Past the deadline the host is killed, because a blocked run cannot be cancelled.
   *
   * @throws {OperatingError} The error of the host, 'inference-timeout', or 'host-crashed'.
   */
  async call<M extends keyof HostProtocol>(
    method: M,
    params: HostProtocol[M]['params'],
    timeoutMs: number,
    reason: KillReason = 'timeout',
  ): Promise<HostProtocol[M]['result']> {
    try {
      const result = await this.#rpc.call(method, params, timeoutMs);
      this.#lastAnswerMs = this.#clock.monotonicMs();
      return result;
    } catch (error) {
      switch (errorCode(error)) {
        case 'rpc-timeout':
          this.kill(reason);
          throw inferenceFailure('inference-timeout', `The host did not finish '${method}' within ${timeoutMs} ms`, {
            cause: error,
          });
        case 'rpc-closed':
          throw inferenceFailure('host-crashed', `The inference host has ended: ${errorMessage(error)}`, {
            cause: error,
          });
        default:
          if (!isLoss(error)) this.#lastAnswerMs = this.#clock.monotonicMs();
          throw error;
      }
    }
  }

  /**
   * Sets which host Linux ends first when memory runs out; the host must have answered before. No effect on other systems or
   * without the permission.
   */
  setOomScore(victim: 'first' | 'normal'): void {
    try {
      writeFileSync(`/proc/${this.pid}/oom_score_adj`, String(victim === 'first' ? FIRST_OOM_SCORE : HOST_OOM_SCORE));
    } catch {
      // The kernel chooses among the hosts then.
    }
  }

  /** Sends SIGKILL: the host has nothing to save, and any other signal waits for a run that may never end. */
  kill(reason: KillReason): void {
    this.#killed ??= reason;
    this.#child.kill('SIGKILL');
  }

  async #end(how: string): Promise<void> {
    const words = stripVTControlCharacters(this.#lastWords)
      .trim()
      .replaceAll(/\s*\n\s*/g, ' | ');
    const detail = words === '' ? how : `${how}; last words: ${words}`;
    this.#rpc.close(inferenceFailure('host-crashed', `The inference host ended (${detail})`));
    const reason = this.#killed ?? 'crash';
    this.#killed ??= 'stopped';
    // Killed while it loaded a model, it leaves the copy behind.
    const staging = await this.stagingDirectory.catch(() => undefined);
    if (staging !== undefined) await rm(staging, { recursive: true, force: true }).catch(() => undefined);
    this.#exited.resolve({ reason, detail });
  }
}

/** Lowers the priority of a process. A failure only leaves the priority as it is. */
function lowerPriority(pid: number | undefined, niceness: number): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, niceness);
  } catch {
    // Its own priority only; that it runs at all is seen elsewhere.
  }
}

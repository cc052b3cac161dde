import type { ExactModel, ModelProof } from '../../contracts/model-registry.ts';
import type { Deps } from '../../platform/deps.ts';
import { ConfigError, OperatingError } from '../../platform/errors.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import { verifyModel } from './model-verification.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';

/** Acts that may wait for a proof, beside the one whose version is being proved. */
const WAITING_MAX = 4;

export type ModelProverOptions = {
  /** The inference host's entry file. */
  readonly entry: URL;
  readonly config: ModelsConfig;
  readonly deps: Deps;
  /** Ends the proof under way, and refuses those that wait. */
  readonly signal: AbortSignal;
};

/** Proves versions one at a time: each takes a process, and the memory of a model. */
export class ModelProver {
  readonly #options: ModelProverOptions;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: ModelProverOptions) {
    this.#options = options;
  }

  /**
   * As `verifyModel`, on a version in `directory`: the model directory itself, or a staged one of the same form.
   *
   * @throws {OperatingError} As `verifyModel`, with paths that begin in `directory`; 'models-busy' where too many wait,
   *   or the agent stops.
   */
  async prove(model: ExactModel, directory: string, ifTooSlow: 'refuse' | 'report' = 'refuse'): Promise<ModelProof> {
    if (this.#waiting > WAITING_MAX)
      throw registryFailure('models-busy', `${this.#waiting} versions are being proved or wait for it`);
    this.#waiting += 1;
    try {
      const proving = this.#last.then(() => this.#prove(model, directory, ifTooSlow));
      this.#last = proving.catch(() => undefined);
      return await proving;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #prove(model: ExactModel, directory: string, ifTooSlow: 'refuse' | 'report'): Promise<ModelProof> {
    const { entry, config, deps, signal } = this.#options;
    try {
      signal.throwIfAborted();
      const { sha256, provider, golden, latency } = await verifyModel({
        entry,
        config: { ...config, directory },
        model,
        ifTooSlow,
        deps,
        signal,
      });
      return { sha256, provider, golden, latency };
    } catch (error) {
      if (signal.aborted) throw registryFailure('models-busy', 'The agent stopped while it proved the version');
      throw shortened(error, directory);
    }
  }
}

/** A staged version lies at a path that means nothing to anybody, and is gone when the error is read. */
function shortened(error: unknown, directory: string): unknown {
  if (error instanceof ConfigError)
    return inferenceFailure('model-file-invalid', withoutPath(error.message, directory), { cause: error });
  if (error instanceof OperatingError)
    return new OperatingError(error.code, error.disposition, withoutPath(error.message, directory), { cause: error });
  return error;
}

function withoutPath(message: string, directory: string): string {
  return message.replaceAll(`${directory}/`, '');
}

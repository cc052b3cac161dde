import type { HostOptions } from '../../runtime/host/host-process.ts';
import type { ExactModel, ModelProof } from '../../contracts/model-registry.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import { ConfigError, OperatingError } from '../../platform/errors.ts';
import { verifyModel } from './model-verification.ts';

/** Versions that may wait while another one is proved. */
const WAITING_MAX = 4;

export type ModelProverOptions = HostOptions & {
  /** Cancels the running proof and those that wait. */
  readonly signal: AbortSignal;
};

/** Proves one version at a time, because each proof takes a process and the memory of a model. */
export class ModelProver {
  readonly #options: ModelProverOptions;
  #last: Promise<unknown> = Promise.resolve();
  #pending = 0;

  constructor(options: ModelProverOptions) {
    this.#options = options;
  }

  /**
   * Proves a version as `verifyModel` does.
   *
   * @param directory The model directory, or a staging folder with the same layout.
   * @throws {OperatingError} As `verifyModel`, with paths relative to `directory`; 'models-busy' if too many wait or the
   *   agent stops.
   */
  async prove(model: ExactModel, directory: string, ifTooSlow: 'refuse' | 'report' = 'refuse'): Promise<ModelProof> {
    if (this.#pending > WAITING_MAX)
      throw registryFailure('models-busy', `${this.#pending} versions are being proved already. Try again later`);
    this.#pending += 1;
    try {
      const proving = this.#last.then(() => this.#prove(model, directory, ifTooSlow));
      this.#last = proving.catch(() => undefined);
      return await proving;
    } finally {
      this.#pending -= 1;
    }
  }

  async #prove(model: ExactModel, directory: string, ifTooSlow: 'refuse' | 'report'): Promise<ModelProof> {
    const { entry, config, deps, signal } = this.#options;
    try {
      signal.throwIfAborted();
      const options = { entry, config: { ...config, directory }, model, ifTooSlow, deps, signal };
      const { sha256, provider, golden, latency } = await verifyModel(options);
      return { sha256, provider, golden, latency };
    } catch (error) {
      if (signal.aborted) throw registryFailure('models-busy', 'The agent stopped during the proof. Try again');
      throw withRelativePaths(error, directory);
    }
  }
}

/** The path of a staging folder means nothing to a user: the folder is deleted when the error is read. */
function withRelativePaths(error: unknown, directory: string): unknown {
  const relative = (message: string): string => message.replaceAll(`${directory}/`, '');
  if (error instanceof ConfigError)
    return inferenceFailure('model-file-invalid', relative(error.message), { cause: error });
  if (error instanceof OperatingError)
    return new OperatingError(error.code, error.disposition, relative(error.message), { cause: error });
  return error;
}

import type { ReadyModel, RunResult, ServedModel, Tensors } from '../../contracts/inference.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import { formatModelReference, type ModelReference } from '../../domain/model/model-reference.ts';
import { type JudgedBy, REMOTE_PROVIDER } from '../../domain/alarm/verdict.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { batchSize } from '../../models/checks/batch-rows.ts';
import type { ModelDirectory } from '../../models/store/model-directory.ts';
import { fallbackIncompatibility, fallbackProblem } from '../../models/store/fallback-fit.ts';

/** A local model that stays loaded until it is released. */
export type HeldModel = {
  readonly ready: () => ReadyModel | undefined;
  readonly run: (inputs: Tensors) => Promise<RunResult>;
  readonly release: () => void;
};

export type FallbackModelOptions = {
  readonly model: ModelReference;
  /** Manifest of the remote model that it replaces. */
  readonly manifest: AnyManifest;
  readonly directory: ModelDirectory;
  readonly hold: (model: ModelReference) => HeldModel;
};

/**
 * The local model that judges while a remote one cannot. It is loaded and proved like any local model, after a check
 * that it is local and takes the same windows.
 */
export class FallbackModel {
  readonly #options: FallbackModelOptions;
  readonly #label: string;
  #held: HeldModel | undefined;
  #unfit: string | undefined;
  #released = false;

  constructor(options: FallbackModelOptions) {
    this.#options = options;
    this.#label = formatModelReference(options.model);
  }

  /** Loads the model if it fits; resolves after that check. Never rejects. */
  async start(): Promise<void> {
    const { model, manifest, directory, hold } = this.#options;
    this.#unfit = await fallbackProblem(manifest, directory).catch(errorMessage);
    if (!this.#released && this.#unfit === undefined) this.#held = hold(model);
  }

  /** Reason why it can never judge, for an operator; undefined if it can. */
  get unfit(): string | undefined {
    return this.#unfit;
  }

  /** Which model judges meanwhile, for an operator. */
  get standing(): string {
    if (this.#unfit !== undefined) return this.#unfit;
    if (this.#ready === undefined) return `its fallback ${this.#label} cannot judge either, see model/${this.#label}`;
    return `${this.#label} judges meanwhile`;
  }

  /** Returns the model with the reason why it replaces the remote one; undefined while it cannot judge. */
  served(reason: string): ServedModel | undefined {
    const ready = this.#ready;
    return ready === undefined ? undefined : { ...ready, judgedBy: insteadOfRemote(ready.judgedBy, reason) };
  }

  /**
   * Judges windows that the remote model did not judge.
   *
   * @param inputs One input, under any name.
   * @returns Undefined if it must not or cannot judge now: then the error of the remote model applies.
   * @throws {OperatingError} Its own error if these windows are at fault, so that the caller may split the batch;
   *   otherwise the error of the remote model, with both reasons.
   */
  async judge(inputs: Tensors, error: OperatingError): Promise<RunResult | undefined> {
    const ready = this.#ready;
    const [window] = Object.values(inputs);
    if (ready === undefined || window === undefined || !mayFallBack(error, inputs)) return undefined;
    try {
      const result = await this.#held?.run({ [ready.manifest.input]: window });
      return result === undefined
        ? undefined
        : { ...result, judgedBy: insteadOfRemote(result.judgedBy, error.message) };
    } catch (caught) {
      if (caught instanceof OperatingError && caught.disposition === 'reject') throw caught;
      const message = `${error.message}; nor did the fallback ${this.#label} judge: ${errorMessage(caught)}`;
      throw new OperatingError(error.code, error.disposition, message, { cause: caught });
    }
  }

  release(): void {
    this.#released = true;
    this.#held?.release();
    this.#held = undefined;
  }

  get #ready(): ReadyModel | undefined {
    const ready = this.#held?.ready();
    // Its folder may contain another version by now.
    return ready === undefined || fallbackIncompatibility(this.#options.manifest, ready.manifest) !== undefined
      ? undefined
      : ready;
  }
}

/**
 * Windows with invalid values are invalid for every model. A batch that is refused for its values is returned to the
 * caller, who splits it: only the window at fault reaches the fallback.
 */
function mayFallBack({ code, disposition }: OperatingError, inputs: Tensors): boolean {
  return code !== 'model-input-invalid' && (disposition === 'retry' || batchSize(inputs) === 1);
}

function insteadOfRemote(judgedBy: JudgedBy, reason: string): JudgedBy {
  return { ...judgedBy, fallbacks: [{ provider: REMOTE_PROVIDER, reason }, ...judgedBy.fallbacks] };
}

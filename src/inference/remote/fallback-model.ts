import type { ReadyModel, RunResult, Tensors } from '../../contracts/inference.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import type { ModelReference } from '../../domain/model-reference.ts';
import { formatModelReference } from '../../domain/model-reference.ts';
import { errorMessage } from '../../platform/errors.ts';
import type { ModelDirectory } from '../model-directory.ts';
import { fallbackMisfit, fallbackProblem } from './fallback-fit.ts';

/** A local model that is loaded for as long as somebody holds it. */
export type HeldModel = {
  readonly ready: () => ReadyModel | undefined;
  readonly run: (inputs: Tensors) => Promise<RunResult>;
  readonly release: () => void;
};

export type FallbackModelOptions = {
  readonly model: ModelReference;
  /** Of the remote model in whose place it judges. */
  readonly manifest: AnyManifest;
  readonly directory: ModelDirectory;
  readonly hold: (model: ModelReference) => HeldModel;
};

/**
 * The local model that judges where a remote one cannot: loaded and proved like any local model, once it is known to
 * be local and to see the same windows.
 */
export class FallbackModel {
  readonly label: string;
  readonly #options: FallbackModelOptions;
  #held: HeldModel | undefined;
  #problem = 'it is not loaded yet';
  #released = false;

  constructor(options: FallbackModelOptions) {
    this.#options = options;
    this.label = formatModelReference(options.model);
  }

  start(): void {
    void this.#start();
  }

  /** Undefined while it cannot judge. */
  get ready(): ReadyModel | undefined {
    const ready = this.#held?.ready();
    // Its folder may hold something else by now.
    return ready === undefined || fallbackMisfit(this.#options.manifest, ready.manifest) !== '' ? undefined : ready;
  }

  /** Why it cannot judge, for an operator. */
  get problem(): string {
    return this.#problem;
  }

  /** @throws {OperatingError} What `InferenceHost.run` throws. */
  async run(inputs: Tensors): Promise<RunResult | undefined> {
    return this.#held?.run(inputs);
  }

  release(): void {
    this.#released = true;
    this.#held?.release();
    this.#held = undefined;
  }

  async #start(): Promise<void> {
    const { model, manifest, directory, hold } = this.#options;
    const problem = await fallbackProblem(manifest, directory).catch(errorMessage);
    if (this.#released) return;
    this.#problem = problem === '' ? `its health is under model/${this.label}` : problem;
    if (problem === '') this.#held = hold(model);
  }
}

import type { Tensors } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import type { ExactModel } from '../../contracts/model-registry.ts';
import type { ModelReference } from '../../domain/model/model-reference.ts';
import type { ModelTryOuts, TryOutInputs, TryOutResult } from '../../contracts/models/model-try-out.ts';
import { readable } from '../../contracts/tensor-data.ts';
import { feedOf } from '../../models/checks/golden.ts';
import { checkInputs } from '../../models/checks/tensor-check.ts';
import { scoresOf } from '../../models/checks/window-scores.ts';
import { judgeScore, NEVER_ABNORMAL } from '../../domain/alarm/verdict-rule.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import { ModelDirectory } from '../../models/store/model-directory.ts';
import { servingOf } from '../../models/store/serving.ts';
import { ConfigError } from '../../platform/errors.ts';
import type { ModelProverOptions } from './model-prover.ts';
import { type ProvedModel, withProvedModel } from './model-verification.ts';

/** Runs that may wait while another one is in progress. */
const WAITING_MAX = 4;

/** Runs versions once, each in a process of its own that ends afterwards; one at a time. */
export class ModelTryOut implements ModelTryOuts {
  readonly #options: ModelProverOptions;
  #last: Promise<unknown> = Promise.resolve();
  #pending = 0;

  constructor(options: ModelProverOptions) {
    this.#options = options;
  }

  async run(reference: ModelReference, inputs: TryOutInputs): Promise<TryOutResult> {
    try {
      return await this.#queued(await this.#checked(reference, inputs), inputs);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw inferenceFailure('model-file-invalid', error.message, { cause: error });
    }
  }

  /** Refuses what can be refused before a process is started for it. */
  async #checked(reference: ModelReference, inputs: TryOutInputs): Promise<ExactModel> {
    const directory = ModelDirectory.of(this.#options.config);
    await directory.checkExists(reference);
    const { name, version, manifest } = await directory.find(reference);
    if (judgesWindows(manifest)) checkNames([manifest.input], inputs);
    return { name, version };
  }

  async #queued(model: ExactModel, inputs: TryOutInputs): Promise<TryOutResult> {
    if (this.#pending > WAITING_MAX)
      throw registryFailure('models-busy', `${this.#pending} versions are being tried out already. Try again later`);
    this.#pending += 1;
    try {
      const running = this.#last.then(() => this.#run(model, inputs));
      this.#last = running.catch(() => undefined);
      return await running;
    } finally {
      this.#pending -= 1;
    }
  }

  #run(model: ExactModel, inputs: TryOutInputs): Promise<TryOutResult> {
    return withProvedModel({ ...this.#options, model }, (proved) => this.#use(proved, inputs));
  }

  async #use(
    { stored: { manifest }, loaded, provider, run }: ProvedModel,
    inputs: TryOutInputs,
  ): Promise<TryOutResult> {
    const specs = loaded.inputs;
    checkNames(
      specs.map(({ name }) => name),
      inputs,
    );
    const feed = feedOf({ inputs }, specs);
    checkInputs(specs, feed);
    const { outputs, runMs } = await run(feed, false, servingOf(this.#options.config, manifest).deadlineMs);
    const { name, version } = manifest;
    return { name, version, provider, runMs, inputs: specs, outputs, judgement: judgementOf(manifest, feed, outputs) };
  }
}

/** @throws {OperatingError} 'model-input-invalid' if an input is missing or unknown. */
function checkNames(known: readonly string[], inputs: TryOutInputs): void {
  const given = Object.keys(inputs);
  const wrong = [
    ...known.filter((name) => !given.includes(name)).map((name) => `'${name}' is missing`),
    ...given.filter((name) => !known.includes(name)).map((name) => `'${name}' is unknown`),
  ];
  if (wrong.length === 0) return;
  const listed = known.map((name) => `'${name}'`).join(', ');
  throw inferenceFailure('model-input-invalid', `The model takes the inputs ${listed}, but ${wrong.join(', ')}`);
}

/** Returns score and verdict of one window. A watch may use another threshold. */
function judgementOf(manifest: AnyManifest, feed: Tensors, outputs: Tensors): TryOutResult['judgement'] {
  const window = Object.values(feed)[0];
  if (!judgesWindows(manifest) || window?.dims[0] !== 1) return undefined;
  const values = Array.from<unknown, number>(readable(window), Number);
  const [score = Number.NaN] = scoresOf(manifest, outputs, 1, values);
  return { score, threshold: manifest.threshold, verdict: judgeScore(score, manifest, NEVER_ABNORMAL).verdict };
}

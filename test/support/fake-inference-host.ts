import type { ModelStatus, ReadyModel, RunResult, Tensors } from '../../src/contracts/inference.ts';
import type { ModelReference } from '../../src/domain/model/model-reference.ts';
import { type ModelManifest, modelManifestSchema } from '../../src/contracts/model-manifest.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import { FakeWindowModels } from './fake-window-models.ts';

export type Run = { readonly dims: readonly number[]; readonly data: Float32Array };

/**
 * A host whose models score a window by a function of its values. `held` runs wait until `release`, as slow models do.
 */
export class FakeInferenceHost extends FakeWindowModels {
  readonly runs: Run[] = [];
  manifest: ModelManifest;
  state: ModelStatus['state'] = 'ready';
  held = false;
  score: (values: Float32Array) => number = (values) => values.at(-1) ?? 0;
  contributions: ((values: Float32Array) => readonly number[]) | undefined;
  /** Parts of the tags in each measure, as a model gives them that can estimate missing tags. */
  parts: ((values: Float32Array) => readonly number[]) | undefined;
  failure: OperatingError | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(manifest: Partial<Record<keyof ModelManifest, unknown>> = {}) {
    super();
    this.manifest = manifestOf(manifest);
  }

  ready(_model: ModelReference): ReadyModel | undefined {
    if (this.state !== 'ready') return undefined;
    const { name, version } = this.manifest;
    const judgedBy = { model: name, version, provider: 'cpu', fallbacks: [] };
    return { manifest: this.manifest, inputs: [], outputs: [], judgedBy };
  }

  statuses(): readonly ModelStatus[] {
    const { name, version } = this.manifest;
    return [{ name, version, state: this.state, reason: undefined, provider: undefined, fallbacks: [] }];
  }

  async run(model: ModelReference, inputs: Tensors): Promise<RunResult> {
    const ready = this.ready(model);
    const window = inputs['window'];
    if (window === undefined || ready === undefined || !(window.data instanceof Float32Array))
      throw new OperatingError('model-input-invalid', 'reject', 'no float32 input window, or the model is away');
    const { dims, data } = window;
    this.runs.push({ dims, data });
    const { failure } = this;
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (failure !== undefined) throw failure;
    const [batch = 0, steps = 0, tags = 0] = dims;
    const rows = Array.from({ length: batch }, (_, row) => data.subarray(row * steps * tags, (row + 1) * steps * tags));
    const scores = Float32Array.from(rows, (values) => this.score(values));
    if (!scores.every(Number.isFinite))
      throw new OperatingError('model-output-invalid', 'reject', 'score is not finite');
    const parts = this.contributions;
    const measures = this.parts === undefined ? undefined : Float32Array.from(rows.flatMap(this.parts));
    return {
      judgedBy: ready.judgedBy,
      manifest: ready.manifest,
      runMs: 0.1,
      outputs: {
        score: { type: 'float32', dims: [batch], data: scores },
        ...(parts === undefined
          ? {}
          : { contributions: { type: 'float32', dims: [batch, tags], data: Float32Array.from(rows.flatMap(parts)) } }),
        ...(measures === undefined ? {} : { parts: { type: 'float32', dims: [batch, 1, tags], data: measures } }),
      },
    };
  }

  /** Lets the runs that are held end, and those after them pass. */
  release(): void {
    this.held = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** A model of two tags that sees two rows, abnormal above 1. */
export function manifestOf(changes: Partial<Record<keyof ModelManifest, unknown>> = {}): ModelManifest {
  return modelManifestSchema.parse({
    name: 'pump-anomaly',
    version: 1,
    task: 'anomaly',
    sha256: '0'.repeat(64),
    tags: [{ name: 'vibration' }, { name: 'current' }],
    window: { steps: 2 },
    threshold: 1,
    golden: [{ inputs: {}, outputs: {} }],
    ...changes,
  });
}

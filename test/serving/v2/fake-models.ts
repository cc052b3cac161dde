import type {
  LoadedModels,
  ModelStatistics,
  ModelStatus,
  RepositoryEntry,
  RunResult,
  ServedModel,
  Tensors,
  TensorSpec,
  ClientInference,
} from '../../../src/contracts/inference.ts';
import type { GraphManifest } from '../../../src/contracts/model-manifest.ts';
import { formatModelReference, type ModelReference } from '../../../src/domain/model/model-reference.ts';
import { OperatingError } from '../../../src/platform/errors.ts';

export type FakeModel = {
  readonly name: string;
  readonly version: number;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly run: (inputs: Tensors) => Tensors | Promise<Tensors>;
  readonly generation?: GraphManifest['generation'];
  readonly state?: ModelStatus['state'];
};

/** Gives each input back as the output of the same name: what the protocol does to a tensor is all that can change it. */
export function echoModel(name: string, inputs: readonly TensorSpec[], version = 1): FakeModel {
  return { name, version, inputs, outputs: inputs, run: (tensors) => tensors };
}

/** Models without a child process: the contract as the endpoint uses it, and what it was asked. */
export class FakeModels implements ClientInference, LoadedModels {
  readonly #models: readonly FakeModel[];
  readonly asked: { readonly model: string; readonly inputs: Tensors }[] = [];
  readonly repositoryActs: string[] = [];
  /** Thrown by the next runs. */
  failure: OperatingError | undefined;

  constructor(models: readonly FakeModel[]) {
    this.#models = models;
  }

  async models(): Promise<LoadedModels> {
    return this;
  }

  served(reference: ModelReference): ServedModel | undefined {
    const model = this.#find(reference);
    if (model === undefined || model.state !== undefined) return undefined;
    return {
      manifest: manifest(model),
      inputs: model.inputs,
      outputs: model.outputs,
      judgedBy: { model: model.name, version: model.version, provider: 'cpu', fallbacks: [] },
    };
  }

  statuses(): readonly ModelStatus[] {
    return this.#models.map(({ name, version, state }) => ({
      name,
      version,
      state: state ?? 'ready',
      reason: state === undefined ? '' : 'out of order',
      provider: 'cpu',
      fallbacks: [],
    }));
  }

  async run(reference: ModelReference, inputs: Tensors): Promise<RunResult> {
    this.asked.push({ model: formatModelReference(reference), inputs });
    if (this.failure !== undefined) throw this.failure;
    const model = this.#find(reference);
    const served = this.served(reference);
    if (model === undefined || served === undefined) throw new OperatingError('model-not-ready', 'retry', 'Not ready');
    return { ...served, outputs: await model.run(inputs), runMs: 1 };
  }

  async load(model: ModelReference): Promise<void> {
    this.repositoryActs.push(`load ${formatModelReference(model)}`);
    if (model.name === 'absent') throw new OperatingError('model-version-unknown', 'reject', 'There is none');
  }

  async unload(model: ModelReference): Promise<void> {
    this.repositoryActs.push(`unload ${formatModelReference(model)}`);
    if (model.name === 'watched') throw new OperatingError('model-in-use', 'reject', 'Watch pump-1 uses it');
  }

  async repository(): Promise<readonly RepositoryEntry[]> {
    return [
      { name: 'echo', version: 1, state: 'ready', reason: undefined, active: true },
      { name: 'other', version: 2, state: 'unloaded', reason: 'unverified', active: true },
    ];
  }

  statistics(): readonly ModelStatistics[] {
    const count = (number: number, ns: number) => ({ count: number, ns });
    return this.#models.map(({ name, version }) => ({
      name,
      version,
      lastInferenceMs: 1_750_000_000_000,
      inferences: 6,
      executions: 2,
      succeeded: count(3, 9_000_000),
      failed: count(1, 1_000_000),
      queued: count(3, 2_000_000),
      computed: count(2, 5_000_000),
    }));
  }

  /** Without a version: the first of the name, as the active one. */
  #find({ name, version }: ModelReference): FakeModel | undefined {
    return this.#models.find((model) => model.name === name && (version === undefined || model.version === version));
  }
}

function manifest({ name, version, generation }: FakeModel): GraphManifest {
  return {
    name,
    version,
    description: '',
    runtime: 'local',
    sha256: '0'.repeat(64),
    task: 'other',
    generation,
    golden: [],
    goldenTolerance: 1e-4,
    serving: {},
    training: {},
    metrics: {},
  };
}

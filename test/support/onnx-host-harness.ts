import { type ModelReference, parseModelReference } from '../../src/domain/model/model-reference.ts';
import { SupervisedInferenceHost } from '../../src/runtime/supervised-host.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import type { ModelStatus, Tensors } from '../../src/contracts/inference.ts';
import type { AnyManifest } from '../../src/contracts/model-manifest.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { type TestModel, TestModelDirectory } from './onnx-directory.ts';
import { meanModel } from './onnx-models.ts';
import { metricValue, testDeps } from './test-deps.ts';

export const hostEntry = new URL('../../src/hosts/inference-host.ts', import.meta.url);

export const meanOf4x2: TestModel = {
  name: 'mean',
  bytes: meanModel(4, 2),
  steps: 4,
  tags: 2,
  golden: [
    { window: [1, 2, 3, 4, 5, 6, 7, 8], score: 4.5 },
    { window: [0, 0, 0, 0, 0, 0, 0, 8], score: 1 },
  ],
};

/** A batch of `rows` windows, all of one value. */
export function windowOf(value: number, dims: readonly number[] = [1, 4, 2]): Tensors {
  const length = dims.reduce((product, size) => product * size, 1);
  return { window: { type: 'float32', dims, data: new Float32Array(length).fill(value) } };
}

export function model(text: string): ModelReference {
  const reference = parseModelReference(text);
  if (reference === undefined) throw new Error(`'${text}' is not a model`);
  return reference;
}

/** A running host on a model directory of its own. Its deadlines hold on a busy machine; tests of a deadline set their own. */
export class HostHarness implements AsyncDisposable {
  readonly directory: TestModelDirectory;
  readonly deps: Deps;
  readonly host: SupervisedInferenceHost;

  constructor(
    models: readonly TestModel[],
    config: Readonly<Record<string, unknown>> = {},
    incompatibilities: (manifest: AnyManifest) => readonly string[] = () => [],
  ) {
    this.directory = new TestModelDirectory(models);
    this.deps = testDeps();
    this.host = new SupervisedInferenceHost({
      entry: hostEntry,
      config: modelsConfigSchema.parse({
        directory: this.directory.path,
        deadline: '10m',
        loadDeadline: '10m',
        ...config,
      }),
      models: models.map(({ name }) => ({ name, version: undefined })),
      incompatibilities,
      deps: this.deps,
    });
    this.host.start();
  }

  status(name: string): ModelStatus | undefined {
    return this.host.statuses().find((status) => status.name === name);
  }

  health(name: string): { readonly status: string; readonly reason: string } | undefined {
    return this.deps.health.components().find((component) => component.name === name);
  }

  /** Loaded in a host that lives; while one is being replaced, `host.ready` says what is expected back. */
  async ready(name: string): Promise<void> {
    await this.state(name, 'ready');
  }

  async state(name: string, state: ModelStatus['state']): Promise<ModelStatus> {
    await until(
      () => this.status(name)?.state === state,
      () => JSON.stringify(this.status(name)),
    );
    return this.status(name) as ModelStatus;
  }

  /** A run may stand behind a ping or a load; resolves once none waits. */
  async runBegun(host = 'main'): Promise<void> {
    // A client's run is not in the queue yet in the turn that asks for it.
    await new Promise((resolve) => setImmediate(resolve));
    while ((await metricValue(this.deps, `andon_inference_queued_runs{host="${host}"}`)) > 0)
      await new Promise((resolve) => setTimeout(resolve, 2));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    this.directory[Symbol.dispose]();
  }
}

/** A guard, not a wait: a little below the time limit of a test, so that the failure names what did not happen. */
const WAIT_MS_MAX = 240_000;

/** Polls, since what is awaited happens in other processes. */
export async function until(condition: () => boolean, describe: () => string): Promise<void> {
  const endMs = performance.now() + WAIT_MS_MAX;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`Waited ${WAIT_MS_MAX} ms without success: ${describe()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';

export type TestModel = {
  readonly name: string;
  readonly version?: number;
  readonly bytes: Uint8Array;
  readonly steps: number;
  readonly tags: number;
  readonly golden: readonly { readonly window: readonly number[]; readonly score: number }[];
  /** Keys of model.yaml set otherwise than a sound model has them. */
  readonly manifest?: Readonly<Record<string, unknown>>;
};

export type TestGraph = {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly golden: readonly unknown[];
  /** Further keys of model.yaml. */
  readonly more?: Readonly<Record<string, unknown>>;
};

/** Content of a test model's `model.yaml`, as an object. */
export function testManifest(model: TestModel): Readonly<Record<string, unknown>> {
  return {
    name: model.name,
    version: model.version ?? 1,
    task: 'anomaly',
    sha256: createHash('sha256').update(model.bytes).digest('hex'),
    tags: Array.from({ length: model.tags }, (_, index) => ({ name: `tag-${index}`, unit: 'bar' })),
    window: { steps: model.steps },
    threshold: 1,
    golden: model.golden.map(({ window, score }) => ({ inputs: { window }, outputs: { score: [score] } })),
    ...model.manifest,
  };
}

/** A model directory in the system's temporary folder, gone when it is disposed of. */
export class TestModelDirectory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'andon-test-models-'));

  constructor(models: readonly TestModel[] = []) {
    for (const model of models) this.add(model);
  }

  /** Writes the model and makes it the active version. */
  add(model: TestModel): void {
    const { name, version = 1, bytes } = model;
    this.#write(name, version, bytes, testManifest(model));
  }

  /** Any graph, for clients. */
  addGraph(graph: TestGraph): void {
    const { name, bytes, golden, more } = graph;
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    this.#write(name, 1, bytes, { name, version: 1, task: 'other', sha256, golden, ...more });
  }

  /** The model as one that runs on a server, and makes it the active version; `remote` as in model.yaml. */
  addRemote(model: TestModel, remote: Readonly<Record<string, unknown>>): void {
    const { sha256: _, ...manifest } = testManifest(model);
    this.#write(model.name, model.version ?? 1, undefined, { ...manifest, runtime: 'remote', remote });
  }

  /** Any graph that runs on a server, for clients. */
  addRemoteGraph(graph: Omit<TestGraph, 'bytes'> & { readonly remote: Readonly<Record<string, unknown>> }): void {
    const { name, golden, remote, more } = graph;
    this.#write(name, 1, undefined, { name, version: 1, task: 'other', runtime: 'remote', remote, golden, ...more });
  }

  #write(name: string, version: number, bytes: Uint8Array | undefined, manifest: object): void {
    const folder = join(this.path, name, String(version));
    mkdirSync(folder, { recursive: true });
    if (bytes !== undefined) writeFileSync(join(folder, 'model.onnx'), bytes);
    writeFileSync(join(folder, 'model.yaml'), stringify(manifest));
    writeFileSync(join(this.path, name, 'active'), `${version}\n`);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

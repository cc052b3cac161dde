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

/** A model directory in the system's temporary folder, gone when it is disposed of. */
export class TestModelDirectory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'andon-test-models-'));

  constructor(models: readonly TestModel[] = []) {
    for (const model of models) this.add(model);
  }

  /** Writes the model and makes it the active version. */
  add(model: TestModel): void {
    const version = model.version ?? 1;
    const folder = join(this.path, model.name, String(version));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'model.onnx'), model.bytes);
    const manifest = {
      name: model.name,
      version,
      task: 'anomaly',
      sha256: createHash('sha256').update(model.bytes).digest('hex'),
      tags: Array.from({ length: model.tags }, (_, index) => ({ name: `tag-${index}`, unit: 'bar' })),
      window: { steps: model.steps },
      threshold: 1,
      golden: model.golden.map(({ window, score }) => ({ inputs: { window }, outputs: { score: [score] } })),
      ...model.manifest,
    };
    writeFileSync(join(folder, 'model.yaml'), stringify(manifest));
    writeFileSync(join(this.path, model.name, 'active'), `${version}\n`);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

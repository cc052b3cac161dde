import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestModel } from './onnx-directory.ts';
import { HostHarness } from './onnx-host-harness.ts';
import { scoresOf } from './window-judge.ts';

type Manifest = Readonly<Record<string, unknown>> & {
  readonly input?: string;
  readonly output: { readonly name: string };
  readonly window?: { readonly steps: number };
};
type Exported = {
  readonly windows: readonly (readonly number[])[];
  readonly values: readonly number[];
  /** Outputs of the graph for the first window. */
  readonly outputs: readonly number[];
  readonly manifest: Manifest;
};

/** Models that a Python script of this folder exported. */
export class ExportedModels implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'andon-exported-'));

  /** @param more Arguments after the folder. */
  static make(script: string, more: readonly string[]): ExportedModels {
    const models = new ExportedModels();
    const path = join(import.meta.dirname, script);
    execFileSync('python3', ['-W', 'ignore', path, models.#folder, ...more], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return models;
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Returns the largest difference between the scores of andon and the values of the library. */
  async largestGap(name: string): Promise<number> {
    const model = this.#model(name);
    await using harness = new HostHarness([model]);
    await harness.ready(name);
    const scores = await scoresOf(harness, name, model.steps, model.windows);
    return Math.max(...scores.map((score, index) => Math.abs(score - (model.values[index] ?? Number.NaN))));
  }

  async refusal(name: string): Promise<string | undefined> {
    await using harness = new HostHarness([this.#model(name)]);
    return (await harness.state(name, 'failed')).reason;
  }

  #model(name: string): TestModel & Exported {
    const content = JSON.parse(readFileSync(join(this.#folder, `${name}.json`), 'utf8')) as Exported;
    const { windows, outputs, manifest } = content;
    const { input = 'X', output } = manifest;
    const steps = manifest.window?.steps ?? 1;
    const vector = { inputs: { [input]: windows[0] ?? [] }, outputs: { [output.name]: outputs } };
    return {
      ...content,
      name,
      bytes: readFileSync(join(this.#folder, `${name}.onnx`)),
      steps,
      tags: (windows[0]?.length ?? 0) / steps,
      golden: [],
      manifest: { input, window: { steps }, golden: [vector], ...manifest },
    };
  }
}

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestModel } from '../support/onnx-directory.ts';
import { HostHarness } from '../support/onnx-host-harness.ts';
import { describeWith, pythonWith } from '../support/programs.ts';
import { scoresOf } from '../support/window-judge.ts';

/*
 * Models of scikit-learn, LightGBM and XGBoost, written by their exporters as docs/your-own-model.md describes it, judge
 * windows and give the values of their library.
 */
type Manifest = Readonly<Record<string, unknown>> & {
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

const script = join(import.meta.dirname, '../support/foreign-models.py');
const lightgbm = pythonWith('lightgbm, onnxmltools', 'lightgbm onnxmltools');
const xgboost = pythonWith('xgboost, onnxmltools', 'xgboost-cpu onnxmltools');
let folder = '';

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function exported(name: string): TestModel & Exported {
  const content = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as Exported;
  const { windows, outputs, manifest } = content;
  const steps = manifest.window?.steps ?? 1;
  const vector = { inputs: { X: windows[0] ?? [] }, outputs: { [manifest.output.name]: outputs } };
  return {
    ...content,
    name,
    bytes: readFileSync(join(folder, `${name}.onnx`)),
    steps,
    tags: (windows[0]?.length ?? 0) / steps,
    golden: [],
    manifest: { input: 'X', window: { steps }, golden: [vector], ...manifest },
  };
}

async function largestGap(name: string): Promise<number> {
  const model = exported(name);
  await using harness = new HostHarness([model]);
  await harness.ready(name);
  const scores = await scoresOf(harness, name, model.steps, model.windows);
  return Math.max(...scores.map((score, index) => Math.abs(score - (model.values[index] ?? Number.NaN))));
}

async function refusal(name: string): Promise<string> {
  await using harness = new HostHarness([exported(name)]);
  return (await harness.state(name, 'failed')).reason;
}

describeWith([pythonWith('skl2onnx, sklearn', 'scikit-learn skl2onnx')], 'models of scikit-learn', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'andon-foreign-'));
    const more = [...(lightgbm === 'python3' ? ['lightgbm'] : []), ...(xgboost === 'python3' ? ['xgboost'] : [])];
    execFileSync('python3', ['-W', 'ignore', script, folder, ...more], { stdio: ['ignore', 'ignore', 'inherit'] });
  }, 240_000);

  test.each(['isolation-forest', 'one-class-svm', 'random-forest', 'regressor', 'autoencoder', 'flat'])(
    '%s gives the values of the library',
    async (name) => expect(await largestGap(name)).toBeLessThan(1e-4),
  );

  test('a classifier with ZipMap is refused with the option of the exporter', async () => {
    expect(await refusal('zipmap')).toMatch(/'output_probability' is not a tensor.*'zipmap': False/);
  });

  test('a pipeline with one input for each column is refused for a watch', async () => {
    expect(await refusal('columns')).toMatch(/has 2 inputs, 'grade', 'speed', expected 'X' only/);
  });

  describeWith([lightgbm], 'models of LightGBM', () => {
    test('give the values of the library', async () => expect(await largestGap('lightgbm')).toBeLessThan(1e-4));

    test('are refused with ZipMap, with the option of the exporter', async () => {
      expect(await refusal('lightgbm-zipmap')).toMatch(/'probabilities' is not a tensor.*zipmap=False/);
    });
  });

  describeWith([xgboost], 'models of XGBoost', () => {
    test('give the values of the library', async () => expect(await largestGap('xgboost')).toBeLessThan(1e-4));
  });
});

import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { checkProviders } from '../../src/gpu/check-providers.ts';
import { writeFamilyModels } from '../../src/gpu/family-models.ts';
import { checkProvider, type Reference } from '../../src/gpu/provider-check.ts';
import { reportText } from '../../src/gpu/report-text.ts';
import { ModelDirectory } from '../../src/models/store/model-directory.ts';
import { type ModelsConfig, modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { controlChartAlgorithm } from '../../src/training/control-chart/control-chart.ts';
import { ridgeAlgorithm } from '../../src/training/ridge/ridge.ts';
import { TestModelDirectory } from '../support/onnx-directory.ts';
import { hostEntry, meanOf4x2 } from '../support/onnx-host-harness.ts';
import { autoencoderModel } from '../support/onnx-models.ts';
import { describeWith } from '../support/programs.ts';
import { swiftShader } from '../support/swift-shader.ts';
import { testDeps } from '../support/test-deps.ts';

const options = { family: false, entry: hostEntry, onProgress: () => undefined };
const columns = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [head, ...rows].map((cells) => cells.join(' | ')).join('\n');

test('every provider is reported: the CPU with figures, others with the reason why they are not used', async () => {
  vi.stubEnv('VK_DRIVER_FILES', '/nonexistent.json');
  using directory = new TestModelDirectory([meanOf4x2]);
  const report = await checkProviders({ ...options, models: [{ directory: directory.path }], deps: testDeps() });
  expect(report.providers.map(({ provider }) => provider)).toEqual(['cpu', 'webgpu', 'cuda']);
  const [cpu, webgpu, cuda] = report.providers;
  expect(cpu?.models).toMatchObject([{ model: 'mean@1', state: 'ok', largestDifference: 0 }]);
  expect(cpu?.models[0]?.figures?.p50Ms).toBeGreaterThan(0);
  expect(cpu?.models[0]?.figures?.rowsPerSecond).toBeGreaterThan(0);
  expect(webgpu?.reason).toContain('no WebGPU adapter');
  expect(cuda?.reason).toMatch(/not installed|driver|CUDA/);
  expect(report.ok).toBe(true);
  const text = reportText(report, columns);
  expect(text).toContain('mean@1 | ');
  expect(text).toContain('webgpu: not used: no WebGPU adapter');
  vi.unstubAllEnvs();
});

test('a damaged version and one that no trusted key signed are left out and named', async () => {
  using directory = new TestModelDirectory([meanOf4x2]);
  mkdirSync(join(directory.path, 'damaged', '1'), { recursive: true });
  writeFileSync(join(directory.path, 'damaged', '1', 'model.yaml'), 'name: [');
  const named: string[] = [];
  const check = (trust?: ModelsConfig['trust']) =>
    checkProviders({
      ...options,
      models: [{ directory: directory.path, trust }],
      deps: testDeps(),
      onProgress: (text) => void named.push(text),
    });
  expect((await check()).providers[0]?.models.map(({ model }) => model)).toEqual(['mean@1']);
  expect(named).toContainEqual(expect.stringMatching(/^damaged@1 is left out: /));
  const { publicKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const { providers, ok } = await check({ keys: [{ file: 'key.pem', pem }] });
  expect(providers[0]).toMatchObject({ reason: 'no model was found' });
  expect(ok).toBe(false);
  expect(named).toContainEqual(expect.stringMatching(/^mean@1 is left out: /));
});

test('a provider that differs from the CPU is a fault', async () => {
  using directory = new TestModelDirectory([meanOf4x2]);
  const config = modelsConfigSchema.parse({ directory: directory.path });
  const stored = await ModelDirectory.of(config).find({ name: 'mean', version: 1 });
  const deps = { entry: hostEntry, clock: testDeps().clock };
  const reference: Reference = new Map();
  const run = () => checkProvider('cpu', [{ stored, config }], reference, deps);
  expect(await run()).toMatchObject([{ state: 'ok' }]);
  const [outputs = []] = reference.values();
  const changed = outputs.map(({ score }) => ({
    score: { type: 'float32', dims: [1], data: [Number(score?.data[0]) + 0.1] },
  }));
  reference.set('mean@1', changed as never);
  expect(await run()).toMatchObject([
    { state: 'failed', reason: expect.stringMatching(/^differs from the CPU by 0\.0\d+$/) },
  ]);
});

test('models of the training algorithms are written and pass their golden vectors', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'andon-family-test-'));
  try {
    const models = await writeFamilyModels(folder, [ridgeAlgorithm, controlChartAlgorithm]);
    expect(models).toEqual([
      { name: 'ridge', version: 1 },
      { name: 'control-chart', version: 1 },
    ]);
    const report = await checkProviders({ ...options, models: [{ directory: folder }], deps: testDeps() });
    expect(report.providers[0]?.models.map(({ state }) => state)).toEqual(['ok', 'ok']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describeWith([swiftShader.file], 'on SwiftShader', () => {
  test('WebGPU is compared with the CPU, and its killed host comes back on the CPU in the end', async () => {
    for (const [name, value] of Object.entries(swiftShader.environment)) vi.stubEnv(name, value);
    const golden = [{ window: Array.from({ length: 48 }, () => 0), score: 0 }];
    const manifest = { goldenTolerance: 1e9 };
    using directory = new TestModelDirectory([
      { name: 'dense', bytes: autoencoderModel(16, 3, 8), steps: 16, tags: 3, golden, manifest },
    ]);
    const { providers, ok } = await checkProviders({
      ...options,
      models: [{ directory: directory.path }],
      deps: testDeps(),
    });
    vi.unstubAllEnvs();
    const webgpu = providers.find(({ provider }) => provider === 'webgpu');
    expect(webgpu).toMatchObject({ reason: undefined, models: [{ model: 'dense@1', state: 'ok' }] });
    expect(webgpu?.recoveries?.at(-1)).toMatchObject({ provider: 'cpu', reason: expect.stringContaining('webgpu: ') });
    expect(ok).toBe(true);
  });
});

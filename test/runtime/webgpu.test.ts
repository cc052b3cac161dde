import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { verifyModel } from '../../src/registry/proof/model-verification.ts';
import { ModelDirectory } from '../../src/models/store/model-directory.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { errorCode } from '../../src/platform/errors.ts';

import type { TestModel } from '../support/onnx-directory.ts';
import { HostHarness, hostEntry, meanOf4x2, model, until, windowOf } from '../support/onnx-host-harness.ts';
import { autoencoderModel, loopModel, shapeOpsModel } from '../support/onnx-models.ts';
import { describeWith } from '../support/programs.ts';
import { swiftShader } from '../support/swift-shader.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';

const loop: TestModel = { name: 'loop', bytes: loopModel(), steps: 1, tags: 1, golden: [{ window: [3], score: 3 }] };
const webgpuFirst = { executionProviders: ['webgpu', 'cpu'], deadline: '10s' };

describeWith([swiftShader.file], 'on SwiftShader', () => {
  beforeAll(() => {
    for (const [name, value] of Object.entries(swiftShader.environment)) vi.stubEnv(name, value);
  });
  afterAll(() => {
    vi.unstubAllEnvs();
  });

  test.each([
    ['two dense layers', { name: 'dense', bytes: autoencoderModel(16, 3, 8), steps: 16, tags: 3 }],
    ['shape operators, which stay on the CPU', { name: 'shape', bytes: shapeOpsModel(16, 3), steps: 16, tags: 3 }],
  ])('WebGPU gives the scores of the CPU: %s', async (_, graph) => {
    const dims = [2, graph.steps, graph.tags];
    const data = Float32Array.from({ length: 2 * 48 }, (__, index) => Math.sin(index) * 3);
    // The CPU's score is the golden vector here, so any golden vector of the manifest is accepted.
    const golden = [{ window: Array.from({ length: 48 }, () => 0), score: 0 }];
    const untested = { ...graph, golden, manifest: { goldenTolerance: 1e9 } };
    const score = async (config: Readonly<Record<string, unknown>>) => {
      await using harness = new HostHarness([untested], config);
      await harness.ready(graph.name);
      return await harness.host.run(model(graph.name), { window: { type: 'float32', dims, data } });
    };
    const onCpu = await score({ executionProviders: ['cpu'] });
    const onGpu = await score(webgpuFirst);
    expect(onGpu.judgedBy).toMatchObject({ provider: 'webgpu', fallbacks: [] });
    for (const [row, value] of (onCpu.outputs['score']?.data ?? []).entries())
      expect(Math.abs(Number(onGpu.outputs['score']?.data[row]) - Number(value))).toBeLessThan(1e-4);
  });

  test('a host that a GPU run takes down twice comes back on the CPU, and says why', async () => {
    await using harness = new HostHarness([loop], webgpuFirst);
    for (const provider of ['webgpu', 'webgpu']) {
      await harness.ready('loop');
      expect(harness.status('loop')?.provider).toBe(provider);
      const outcome = harness.host.run(model('loop'), windowOf(1e9, [1, 1, 1])).catch(errorCode);
      await harness.runBegun();
      process.kill(harness.host.hostPid() ?? 0, 'SIGKILL');
      expect(await outcome).toBe('host-crashed');
    }
    await harness.ready('loop');
    expect(harness.status('loop')).toMatchObject({
      provider: 'cpu',
      fallbacks: [{ provider: 'webgpu', reason: expect.stringContaining('took the host down 2 times') }],
    });
    expect(harness.health('model/loop')).toMatchObject({ status: 'degraded' });
    expect(
      await metricValue(
        harness.deps,
        'andon_inference_provider_info{model="loop",version="1",provider="cpu",host="main"}',
      ),
    ).toBe(1);
  });

  test('a fresh host takes over a version next to a host on the same device, and no run fails', async () => {
    const golden = [{ window: Array.from({ length: 48 }, () => 0), score: 0 }];
    const manifest = { goldenTolerance: 1e9 };
    const dense: TestModel = { name: 'dense', bytes: autoencoderModel(16, 3, 8), steps: 16, tags: 3, golden, manifest };
    await using harness = new HostHarness([dense], webgpuFirst);
    await harness.ready('dense');
    harness.directory.add({ ...dense, version: 2 });
    harness.host.reload();
    const versions: number[] = [];
    while (versions.at(-1) !== 2) {
      const { judgedBy } = await harness.host.run(model('dense'), windowOf(1, [1, 16, 3]));
      expect(judgedBy.provider).toBe('webgpu');
      versions.push(judgedBy.version);
    }
    expect(versions[0]).toBe(1);
    expect(await metricValue(harness.deps, 'andon_inference_host_restarts_total{reason="crash",host="main"}')).toBe(0);
  });

  test('a required provider that takes the host down is not replaced by another', async () => {
    await using harness = new HostHarness([loop], {
      executionProviders: [{ name: 'webgpu', required: true }, 'cpu'],
      deadline: '200ms',
      quarantine: { crashes: 2 },
    });
    for (let crash = 0; crash < 2; crash += 1) {
      await harness.ready('loop');
      await expect(harness.host.run(model('loop'), windowOf(1e9, [1, 1, 1]))).rejects.toMatchObject({
        code: 'inference-timeout',
      });
    }
    await harness.state('loop', 'quarantined');
  });

  const bundled = join(import.meta.dirname, '../../models');
  test.each(modelsIn(bundled))('the bundled model %s holds its golden vectors', async (name) => {
    const config = modelsConfigSchema.parse({ directory: bundled, executionProviders: ['webgpu', 'cpu'] });
    const versions = await new ModelDirectory(bundled, {
      modelBytesMax: config.maxModelSizeBytes,
      trusted: undefined,
    }).versions(name);
    for (const version of versions) {
      const verification = await verifyModel({
        entry: hostEntry,
        config,
        model: { name, version },
        deps: testDeps(),
      });
      expect(verification).toMatchObject({ provider: 'webgpu', fallbacks: [] });
    }
  });
});

describe('without an adapter', () => {
  beforeAll(() => {
    vi.stubEnv('VK_DRIVER_FILES', '/nonexistent.json');
  });
  afterAll(() => {
    vi.unstubAllEnvs();
  });

  test('WebGPU falls back to the CPU and is named with its reason', async () => {
    await using harness = new HostHarness([meanOf4x2], webgpuFirst);
    await harness.ready('mean');
    expect(harness.status('mean')).toMatchObject({
      provider: 'cpu',
      fallbacks: [{ provider: 'webgpu', reason: expect.stringContaining('no WebGPU adapter') }],
    });
    expect(harness.health('model/mean')).toMatchObject({
      status: 'ok',
      reason: expect.stringContaining('on cpu; webgpu: no'),
    });
  });

  test('a required WebGPU fails the model', async () => {
    await using harness = new HostHarness([meanOf4x2], {
      executionProviders: [{ name: 'webgpu', required: true }, 'cpu'],
    });
    await until(
      () => harness.status('mean')?.state === 'failed',
      () => 'the model',
    );
    expect(harness.status('mean')?.reason).toContain('webgpu is required, but: no WebGPU adapter');
  });
});

function modelsIn(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
}

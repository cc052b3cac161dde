import { expect, test } from 'vitest';
import { type ModelManifest, modelManifestSchema } from '../../src/contracts/model-manifest.ts';
import { distributionOf } from '../../src/domain/model/drift.ts';
import { DriftMonitor } from '../../src/pipeline/drift-monitor.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';

const PERIOD_MS = 3_600_000;
const ramp = Float64Array.from({ length: 1000 }, (_, index) => index / 100);

function manifest(version = 1): ModelManifest {
  const distribution = distributionOf(ramp);
  return modelManifestSchema.parse({
    name: 'pump',
    version,
    task: 'anomaly',
    sha256: '0'.repeat(64),
    tags: [
      { name: 'a', distribution },
      { name: 'b', distribution },
    ],
    window: { steps: 1 },
    output: { distribution },
    threshold: 1,
    golden: [{ inputs: { window: [0, 0] }, outputs: { score: [0] } }],
  });
}

/** A monitor after an hour of windows, one every ten seconds. */
function afterAnHour(model: ModelManifest, a: (share: number) => number, b: (share: number) => number) {
  const deps = testDeps(new FakeClock());
  const monitor = new DriftMonitor('pump-1', { periodMs: PERIOD_MS, warn: 0.25 }, deps);
  for (let index = 0; index <= 360; index += 1)
    monitor.observe(
      model,
      ['line.a', 'line.b'],
      Float32Array.of(a(index / 360), b(index / 360)),
      { score: (index / 360) * 10 },
      index * 10_000,
    );
  return { deps, monitor, health: deps.health.components().find(({ name }) => name === 'drift/pump-1') };
}

test('a machine that runs as in training has no drift', async () => {
  const { deps, health, monitor } = afterAnHour(
    manifest(),
    (share) => share * 10,
    (share) => share * 10,
  );
  expect(health).toMatchObject({ status: 'ok' });
  expect([...monitor.indexes.keys()]).toEqual(['line.a', 'line.b', 'score']);
  expect(await metricValue(deps, 'andon_drift_index{watch="pump-1",tag="line.a"}')).toBeLessThan(0.05);
});

test('a tag that moved away is named with its index and what to do', async () => {
  const { deps, health } = afterAnHour(
    manifest(),
    (share) => share * 10,
    (share) => 8 + share,
  );
  expect(health).toMatchObject({
    status: 'degraded',
    reason: expect.stringMatching(/line\.b \(index \d\.\d\d\).*andon train --watch pump-1/),
  });
  expect(health?.reason).not.toContain('line.a');
  expect(await metricValue(deps, 'andon_drift_index{watch="pump-1",tag="line.b"}')).toBeGreaterThan(0.25);
});

test('nothing is said before a period is over, nor of a model without distributions', () => {
  const deps = testDeps(new FakeClock());
  const monitor = new DriftMonitor('pump-1', { periodMs: PERIOD_MS, warn: 0.25 }, deps);
  for (let index = 0; index < 300; index += 1)
    monitor.observe(manifest(), ['a', 'b'], Float32Array.of(99, 99), { score: 99 }, index * 10_000);
  expect(monitor.indexes.size).toBe(0);
  const plain = {
    ...manifest(),
    tags: [
      { name: 'a', unit: '' },
      { name: 'b', unit: '' },
    ],
    output: { score: 'score', unit: '' },
  };
  expect(
    afterAnHour(
      plain,
      () => 99,
      () => 99,
    ).health,
  ).toMatchObject({ status: 'ok' });
});

test('a gap in a tag counts for no bin', () => {
  const { monitor } = afterAnHour(
    manifest(),
    (share) => (share < 0.5 ? Number.NaN : share * 20 - 10),
    (share) => share * 10,
  );
  expect(monitor.indexes.get('line.a')).toBeLessThan(0.05);
});

test('a period with too few windows is longer, and its real length is reported', () => {
  const deps = testDeps(new FakeClock());
  const monitor = new DriftMonitor('pump-1', { periodMs: 60_000, warn: 0.25 }, deps);
  const model = manifest();
  for (let index = 0; index < 200; index += 1)
    monitor.observe(model, ['line.a', 'line.b'], Float32Array.of(99, 99), { score: 99 }, index * 1000);
  const health = deps.health.components().find(({ name }) => name === 'drift/pump-1');
  expect(health?.reason).toMatch(/^Over the last 199s, /);
});

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { bundledModels } from '../../scripts/make-models.ts';
import { modelManifestSchema } from '../../src/contracts/model-manifest.ts';
import { modelFiles } from '../../src/training/report/model-writer.ts';
import { runGraph } from '../training/run-graph.ts';

const directory = resolve(import.meta.dirname, '../../models');

describe.each([...(await bundledModels())])('the bundled model %s', (name, draft) => {
  const folder = join(directory, name, '1');
  const manifest = modelManifestSchema.parse(parse(readFileSync(join(folder, 'model.yaml'), 'utf8')));

  test('is what `npm run models` makes, byte for byte', () => {
    for (const [file, content] of modelFiles(name, 1, draft)) {
      expect(readFileSync(join(folder, file)).equals(Buffer.from(content)), `${file} is stale`).toBe(true);
    }
  });

  test('is active, and named as its folder', () => {
    expect(readFileSync(join(directory, name, 'active'), 'utf8')).toBe('1\n');
    expect(manifest).toMatchObject({ name, version: 1 });
  });

  test('gives what its golden vectors say', async () => {
    const steps = manifest.window.steps;
    for (const { inputs, outputs } of manifest.golden) {
      const window = Float32Array.from(inputs['window'] ?? []);
      const { score } = await runGraph(draft.graph, window, [1, steps, manifest.tags.length]);
      const expected = outputs['score']?.[0] ?? Number.NaN;
      expect(Math.abs((score[0] ?? Number.NaN) - expected)).toBeLessThan(1e-5 * Math.max(1, Math.abs(expected)));
    }
  });

  test('has a golden vector on either side of its threshold', () => {
    const sides = manifest.golden.map(({ outputs }) => (outputs['score']?.[0] ?? 0) > manifest.threshold);
    expect(new Set(sides)).toEqual(new Set([true, false]));
  });
});

test('the pump model finds every held-out degradation within seconds, and nothing in held-out normal hours', async () => {
  const metrics = (await bundledModels()).get('pump-anomaly')?.manifest.metrics;
  expect(metrics).toMatchObject({ degradations_missed: 0, held_out_false_alarm_rate: 0 });
  expect(metrics?.['degradations']).toBeGreaterThan(20);
  expect(metrics?.['detection_delay_seconds_max']).toBeLessThan(10);
});

test('the fill-weight model is far better than the mean on held-out rows', async () => {
  const metrics = (await bundledModels()).get('fill-weight')?.manifest.metrics;
  expect(metrics?.['r2']).toBeGreaterThan(0.9);
  expect(metrics?.['rmse']).toBeLessThan((metrics?.['naive_rmse'] ?? 0) / 3);
});

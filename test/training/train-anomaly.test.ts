import { describe, expect, test } from 'vitest';
import { modelManifestSchema } from '../../src/contracts/model-manifest.ts';
import type { AnomalyTraining } from '../../src/training/train-anomaly.ts';
import { trainAnomaly } from '../../src/training/train-anomaly.ts';
import type { TrainingRows } from '../../src/training/training-rows.ts';
import { completeRuns, sliceRows } from '../../src/training/training-rows.ts';
import { machineRows } from './machine.ts';
import { runGraph } from './run-graph.ts';
import { skabFiles, skabRows } from './skab.ts';

const tags = ['load', 'flow', 'temperature'].map((name) => ({ name, unit: '' }));

describe('training an anomaly model says how good it is', () => {
  test('a machine that goes on as before has next to no false alarms', () => {
    const { trial, warnings, draft } = train([machineRows(3000, 1)]);
    expect(trial?.heldOutRows).toBe(750 - 48);
    expect(trial?.falseAlarmRate).toBeLessThan(0.01);
    expect(warnings).toEqual([]);
    expect(draft.manifest.metrics).toMatchObject({ held_out_false_alarm_rate: trial?.falseAlarmRate });
  });

  test('a machine that changed in the last quarter is warned of', () => {
    const { trial, warnings } = train([machineRows(3000, 1, 2300)]);
    expect(trial?.falseAlarmRate).toBeGreaterThan(0.8);
    expect(warnings).toEqual([expect.stringMatching(/% of the last quarter/)]);
  });

  test('few rows make a model and a warning, and no claim', () => {
    const { trial, warnings, draft } = train([machineRows(220, 1)]);
    expect(trial).toBeUndefined();
    expect(warnings).toContainEqual(expect.stringContaining('too few'));
    expect(draft.manifest.metrics).toEqual({});
  });

  test('its golden vectors are what its graph gives', async () => {
    const { draft } = train([machineRows(600, 1), machineRows(300, 2)]);
    const manifest = modelManifestSchema.parse({ name: 'x', version: 1, ...draft.manifest });
    expect(manifest.golden).toHaveLength(2);
    for (const { inputs, outputs } of manifest.golden) {
      const { score } = await runGraph(draft.graph, Float32Array.from(inputs['window'] ?? []), [1, 49, 3]);
      expect(score[0]).toBeCloseTo(outputs['score']?.[0] ?? Number.NaN, 5);
    }
  });
});

test('a history with missing values falls into the runs without', () => {
  const rows = machineRows(10, 1);
  for (const missing of [0, 4, 5, 9]) rows.values[missing * 3 + 1] = Number.NaN;
  expect(completeRuns(rows)).toEqual([sliceRows(rows, 1, 4), sliceRows(rows, 6, 9)]);
  expect(completeRuns(machineRows(10, 1))).toEqual([machineRows(10, 1)]);
});

test.skipIf(skabFiles.length === 0)('a real pump test bed is learned within two seconds, trial included', () => {
  const rows = sliceRows(skabRows(skabFiles[0] ?? ''), 0, 400);
  const labels = Array.from({ length: 8 }, (_, index) => ({ name: `tag-${index}`, unit: '' }));
  const beganMs = performance.now();
  trainAnomaly({ ...training([rows]), tags: labels });
  // Ten times the two seconds: other work may share the machine.
  expect(performance.now() - beganMs).toBeLessThan(20_000);
});

function train(segments: readonly TrainingRows[]) {
  return trainAnomaly(training(segments));
}

function training(segments: readonly TrainingRows[]): AnomalyTraining {
  return { segments, tags, stepMs: 1000, description: 'A machine', provenance: { file: 'history.csv' } };
}

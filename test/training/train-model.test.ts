import { describe, expect, test } from 'vitest';
import { modelManifestSchema } from '../../src/contracts/model-manifest.ts';
import { candidates } from '../../src/training/catalogue/algorithms.ts';
import { anomalyDecision, type TrainingOrder, trainModel } from '../../src/training/report/train-model.ts';
import { trainingReport } from '../../src/training/report/training-report.ts';
import { modelFiles } from '../../src/training/report/model-writer.ts';
import type { TrainingRows } from '../../src/training/core/training-rows.ts';
import { machineRows } from './machine.ts';
import { runGraph } from './run-graph.ts';
import { seededRandom } from './seeded-random.ts';

describe('training an anomaly model measures its quality', () => {
  test('a machine in its normal state has almost no false alarms', async () => {
    const { assessment, warnings, draft } = await trainModel(order([machineRows(3000, 1)]));
    expect(assessment?.metrics['held_out_rows']).toBe(750 - 78);
    expect(assessment?.metrics['held_out_false_alarm_rate']).toBeLessThan(0.01);
    expect(warnings).toEqual([]);
    expect(draft.manifest.metrics).toMatchObject({
      held_out_false_alarm_rate: expect.any(Number),
      expected_false_alarms_per_day: 0,
      expected_false_alarms_per_day_low: 0,
      // None in 672 s: fewer than 3.7 in that time.
      expected_false_alarms_per_day_high: expect.closeTo((3.7 * 86_400) / 672, -1),
    });
  });

  test('the report says which shift of each tag is detected: of the flow, less than its normal variation', async () => {
    const { assessment, draft } = await trainModel(order([machineRows(3000, 1)]));
    const [, flow] = assessment?.shifts ?? [];
    expect(flow?.deviations).toBeLessThanOrEqual(2);
    expect(assessment?.metrics['tags_with_detected_shift']).toBe(3);
    expect(draft.manifest.metrics).toMatchObject({ tags_with_detected_shift: 3 });
  });

  test('the report and model.yaml say what the model detects of known faults, and what it would not notice', async () => {
    const machine = machineRows(3000, 1);
    // A tag of noise alone: reversed, it is the same noise.
    const noise = seededRandom(5);
    const values = machine.values.map((value, index) => (index % 3 === 0 ? noise() - 0.5 : value));
    const { assessment, draft } = await trainModel(order([{ ...machine, values }]));
    const [load, flow] = assessment?.faults ?? [];
    const found = (tag: typeof load, fault: string) => tag?.faults.find((detection) => detection.fault === fault);
    expect(found(flow, '+2 sd')?.share).toBeGreaterThan(0.9);
    expect(found(flow, 'stuck')?.share).toBeGreaterThan(0.5);
    expect(found(flow, '+4 sd')?.delayRows).toBeLessThan(20);
    expect(found(load, 'reversed')).toEqual({ fault: 'reversed', share: 0, delayRows: undefined });
    expect(draft.manifest.training).toMatchObject({ detection: { load: { reversed: 0 } } });
    const facts = { task: 'anomaly', tags: order([]).tags, segments: [machine], algorithm: 'wpca' } as const;
    const trained = await trainModel(order([{ ...machine, values }]));
    const report = trainingReport(trained, { ...facts, rowsRead: 3000, findings: [], provenance: {} }).get('report.md');
    expect(report).toMatch(/This model would not notice:\n\n(- .*\n)*- reversed: load/);
  });

  test('a machine that changed in the last quarter is warned of', async () => {
    const { assessment, warnings } = await trainModel(order([machineRows(3000, 1, 2300)]));
    expect(assessment?.metrics['held_out_false_alarm_rate']).toBeGreaterThan(0.8);
    expect(assessment?.shifts).toBeUndefined();
    expect(warnings).toEqual([
      expect.stringMatching(/^Rows \d+ to 2999 of 3000 are unlike the others and were left out/),
      expect.stringMatching(/% of the last quarter/),
    ]);
  });

  test('few rows make a model and a warning, and no claim', async () => {
    const { assessment, warnings, draft } = await trainModel({ ...order([machineRows(220, 1)]), force: true });
    expect(assessment).toBeUndefined();
    expect(warnings).toContainEqual(expect.stringContaining('too few'));
    expect(draft.manifest.metrics).toEqual({});
  });

  test('the same rows give the same bytes', async () => {
    const files = async () => modelFiles('pump', 1, (await trainModel(order([machineRows(600, 1)]))).draft);
    expect(await files()).toEqual(await files());
  });
});

describe('the reference arithmetic of a model equals its graph', () => {
  test('its golden vectors, one of them of a fault that was shown to it', async () => {
    const faulty = [machineRows(300, 3, 0)];
    const { draft, fitted } = await trainModel({ ...order([machineRows(600, 1), machineRows(300, 2)]), faulty });
    const manifest = modelManifestSchema.parse({ name: 'x', version: 1, ...draft.manifest });
    const scores = manifest.golden.map(({ outputs }) => outputs['score']?.[0] ?? Number.NaN);
    for (const [index, { inputs }] of manifest.golden.entries()) {
      const window = Float32Array.from(inputs['window'] ?? []);
      const { score } = await runGraph(draft.graph, window, [1, fitted.windowRows, 3]);
      const expected = scores[index] ?? Number.NaN;
      expect(Math.abs((score[0] ?? Number.NaN) - expected)).toBeLessThan(1e-5 * Math.max(1, expected));
    }
    expect(new Set(scores.map((score) => score > 1))).toEqual(new Set([true, false]));
  });

  test('its explanation names the tag that is to blame, and the graph agrees', async () => {
    const { draft, fitted } = await trainModel(order([machineRows(1500, 1)]));
    const window = lastRows(machineRows(400, 5, 300), fitted.windowRows);
    const shares = fitted.explain?.(window) ?? new Float64Array();
    const { contributions } = await runGraph(draft.graph, Float32Array.from(window.values), [1, fitted.windowRows, 3]);
    expect(shares.indexOf(Math.max(...shares))).toBe(1);
    shares.forEach((share, tag) => expect(contributions[tag]).toBeCloseTo(share, 4));
  });
});

describe('a regression is measured on rows that it has not seen', () => {
  test('against the naive guess of the mean', async () => {
    const rows = machineRows(1500, 1);
    const quality = Float64Array.from({ length: rows.count }, (_, row) => 500 - 3 * (rows.values[row * 3 + 1] ?? 0));
    const { assessment, warnings } = await trainModel(regression(rows, quality));
    expect(assessment?.metrics['rmse']).toBeLessThan((assessment?.metrics['naive_rmse'] ?? 0) / 2);
    expect(warnings).toEqual([]);
  });

  test('a model that is not better than the mean gets a warning', async () => {
    const quality = Float64Array.from({ length: 400 }, seededRandom(3));
    const { assessment, warnings } = await trainModel(regression(machineRows(400, 2), quality));
    expect(assessment?.metrics['r2']).toBeLessThanOrEqual(0);
    expect(warnings).toEqual([expect.stringContaining('not better')]);
  });
});

function order(segments: readonly TrainingRows[]): TrainingOrder {
  return {
    task: 'anomaly',
    algorithm: candidates('anomaly', 'wpca', 3)[0],
    segments,
    targets: undefined,
    classes: [],
    tags: ['load', 'flow', 'temperature'].map((name) => ({ name, unit: '' })),
    stepMs: 1000,
    description: 'A machine',
    decision: anomalyDecision,
    provenance: { data: 'machine' },
  };
}

function regression(rows: TrainingRows, quality: Float64Array): TrainingOrder {
  return {
    ...order([rows]),
    task: 'regression',
    algorithm: candidates('regression', 'ridge', 3)[0],
    targets: [quality],
    decision: { threshold: 0, abnormal: 'below', deadband: 0, unit: 'g' },
  };
}

function lastRows(rows: TrainingRows, count: number): TrainingRows {
  return { count, tags: rows.tags, values: rows.values.slice(-count * rows.tags) };
}

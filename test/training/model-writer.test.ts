import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { modelManifestSchema } from '../../src/contracts/model-manifest.ts';
import type { ModelDraft } from '../../src/training/report/model-draft.ts';
import { writeModel } from '../../src/training/report/model-writer.ts';
import { candidates } from '../../src/training/catalogue/algorithms.ts';
import { anomalyDecision, trainModel } from '../../src/training/report/train-model.ts';
import { machineRows } from './machine.ts';

describe('a trained model is written to the model directory', () => {
  test('as the next version, complete and not activated', async () => {
    const directory = folder();
    expect(await writeModel(directory, 'pump', draft())).toBe(1);
    expect(await writeModel(directory, 'pump', draft())).toBe(2);
    expect(readdirSync(join(directory, 'pump')).toSorted()).toEqual(['1', '2']);
    expect(readdirSync(join(directory, 'pump/2')).toSorted()).toEqual(['model.onnx', 'model.yaml']);
  });

  test('with a manifest that describes it and passes the schema', async () => {
    const directory = folder();
    await writeModel(directory, 'pump', draft());
    const manifest = modelManifestSchema.parse(parse(readFileSync(join(directory, 'pump/1/model.yaml'), 'utf8')));
    expect(manifest).toMatchObject({
      name: 'pump',
      version: 1,
      task: 'anomaly',
      threshold: 1,
      window: { steps: 79, stepMs: 1000 },
      training: { algorithm: 'wpca', lags: 20, file: 'history.csv' },
      metrics: { held_out_rows: 72 },
    });
    expect(manifest.tags.map(({ name }) => name)).toEqual(['load', 'flow', 'temperature']);
    expect(manifest.golden[0]?.inputs['window']).toHaveLength(79 * 3);
  });

  test('with its report next to it', async () => {
    const directory = folder();
    await writeModel(directory, 'pump', { ...draft(), report: new Map([['report.md', '# Pump']]) });
    expect(readFileSync(join(directory, 'pump/1/report.md'), 'utf8')).toBe('# Pump');
  });

  test('two trainings that end together get two versions', async () => {
    const directory = folder();
    const versions = await Promise.all(Array.from({ length: 5 }, () => writeModel(directory, 'pump', draft())));
    expect(new Set(versions)).toEqual(new Set([1, 2, 3, 4, 5]));
    expect(readdirSync(join(directory, 'pump')).toSorted()).toEqual(['1', '2', '3', '4', '5']);
  });

  test('behind the highest version there is, though one below was removed', async () => {
    const directory = folder();
    for (let time = 0; time < 3; time += 1) await writeModel(directory, 'pump', draft());
    rmSync(join(directory, 'pump/1'), { recursive: true });
    expect(await writeModel(directory, 'pump', draft())).toBe(4);
  });

  test('or not at all, and no half of it is left behind', async () => {
    const directory = folder();
    writeFileSync(join(directory, 'pump'), 'a file where the folder should be');
    await expect(writeModel(directory, 'pump', draft())).rejects.toMatchObject({
      code: 'model-not-written',
      message: expect.stringContaining(join(directory, 'pump')),
    });
  });
});

const { draft: made } = await trainModel({
  task: 'anomaly',
  algorithm: candidates('anomaly', 'wpca', 2)[0],
  segments: [machineRows(600, 1)],
  targets: undefined,
  classes: [],
  description: 'A machine',
  tags: ['load', 'flow', 'temperature'].map((name) => ({ name, unit: '' })),
  stepMs: 1000,
  decision: anomalyDecision,
  provenance: { file: 'history.csv' },
});

function draft(): ModelDraft {
  return made;
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'andon-models-'));
  onTestFinished(() => {
    rmSync(path, { recursive: true });
  });
  return path;
}

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pointRates } from '../src/offline/backtest-metrics.ts';
import { configSchema } from '../src/config/config-schema.ts';
import { evaluate } from '../src/offline/evaluate.ts';
import { csvRecording } from '../src/offline/recording.ts';
import { trainFromRecording, writeTrainedModel } from '../src/offline/train.ts';
import { bindWatch } from '../src/config/watch-binding.ts';
import { systemDeps } from '../src/platform/deps.ts';
import { CsvFile } from '../src/csv/csv-file.ts';

/*
 * Runs the Skoltech Anomaly Benchmark as its authors do, with the defaults of `andon train` and `andon evaluate`: a
 * fresh model for each file from its first 400 rows, labels unused, every later row scored point by point, points summed
 * over files. `npm run skab`, with the data in ../shared/data/skab or in the folder in SKAB.
 */

const TRAINING_ROWS = 400;
const folder = process.env['SKAB'] ?? resolve(import.meta.dirname, '../../shared/data/skab');
const groups = ['valve1', 'valve2', 'other'].filter((group) => existsSync(join(folder, group)));
const none = { truePositives: 0, trueNegatives: 0, falsePositives: 0, falseNegatives: 0 };
const total = { ...none };
const models = mkdtempSync(join(tmpdir(), 'andon-skab-'));

type Counts = typeof none;

if (groups.length === 0) console.log(`No data in ${folder}: put SKAB's valve1, valve2 and other there.`);
try {
  for (const group of groups) {
    const sum = { ...none };
    for (const file of readdirSync(join(folder, group)).toSorted((a, b) => parseInt(a, 10) - parseInt(b, 10))) {
      const counts = await measure(join(folder, group, file), `${group}-${parseInt(file, 10)}`);
      add(sum, counts);
      print(`${group}/${file}`, counts);
    }
    print(group, sum);
    add(total, sum);
  }
  if (groups.length > 1) print('all', total);
} finally {
  rmSync(models, { recursive: true });
}

async function measure(path: string, model: string): Promise<Counts> {
  const { layout } = await CsvFile.open(path);
  const tags = layout.columns.filter((name) => name !== 'anomaly' && name !== 'changepoint');
  const config = configOf(tags, model);
  const binding = bindWatch(config, 'rig');
  const recording = await csvRecording({
    path,
    tags,
    columns: new Map(),
    timeColumn: undefined,
    labelColumn: 'anomaly',
  });
  const deps = systemDeps();
  const chosen = { binding, recording, pacing: 'rows' as const };
  const trained = await trainFromRecording({
    ...chosen,
    range: { first: 0, last: TRAINING_ROWS - 1 },
    labelled: false,
    task: undefined,
    algorithm: undefined,
    limit: undefined,
    // The benchmark has 400 rows to train on.
    force: true,
    onProgress: () => undefined,
  });
  const { version } = await writeTrainedModel(config.models, model, trained.trained.draft, deps);
  const { metrics } = await evaluate({
    ...chosen,
    range: { first: TRAINING_ROWS, last: Infinity },
    models: config.models,
    model: { name: model, version },
    task: 'anomaly',
    labelled: true,
    deps,
    onRow: () => undefined,
  });
  return metrics.labelled ?? none;
}

function configOf(tags: readonly string[], model: string) {
  const registers = tags.map((tag, index) => [tag, { register: 'holding', address: index * 2, type: 'float32' }]);
  return configSchema.parse({
    agent: { id: 'skab' },
    sources: { rig: { type: 'modbus', url: 'tcp://127.0.0.1:502', unitId: 1, tags: Object.fromEntries(registers) } },
    models: { directory: models },
    watches: { rig: { model, tags } },
  });
}

function add(sum: Counts, counts: Counts): void {
  sum.truePositives += counts.truePositives;
  sum.trueNegatives += counts.trueNegatives;
  sum.falsePositives += counts.falsePositives;
  sum.falseNegatives += counts.falseNegatives;
}

function print(name: string, counts: Counts): void {
  const { f1, falseAlarmRate, missedAlarmRate } = pointRates(counts);
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`.padStart(7);
  console.log(
    `${name.padEnd(16)} F1 ${f1.toFixed(3)}  false alarms ${percent(falseAlarmRate)}  missed ${percent(missedAlarmRate)}`,
  );
}

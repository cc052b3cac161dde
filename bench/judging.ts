import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { wpcaAlgorithm } from '../src/training/wpca/wpca-detector.ts';
import { anomalyDecision, trainModel } from '../src/training/report/train-model.ts';
import { trainingRows } from '../src/training/core/training-rows.ts';
import { writeModel } from '../src/training/report/model-writer.ts';
import { ModelDirectory } from '../src/models/store/model-directory.ts';
import { SessionRunner } from '../src/runtime/session/session-runner.ts';
import { seededRandom } from '../src/plant/seeded-random.ts';
import { median } from './statistics.ts';

/*
 * `node bench/judging.ts`: compares the cost of judging one window in the inference host (look-up, run, check that every number
 * is finite) with the bare `session.run` of the same graph at the same batch size. The model is the default one for 8 tags, trained
 * on 400 rows, with windows of 45 rows. The two run in turn in one process; the figures are medians of rounds.
 */
const ROUNDS = 9;
const RUNS_A_ROUND = 400;
const BATCHES = [1, 8, 64];
const TAGS = 8;

const directory = mkdtempSync(join(tmpdir(), 'andon-judging-'));
try {
  const steps = await trainDefaultModel(directory);
  const model = await new ModelDirectory(directory, { modelBytesMax: 1e8, trusted: undefined }).find({
    name: 'judged',
    version: 1,
  });
  const stagingDirectory = join(directory, 'staging');
  mkdirSync(stagingDirectory, { mode: 0o700 });
  const runner = new SessionRunner();
  const provider = { name: 'cpu', required: true, deviceId: 0 } as const;
  await runner.load({
    key: 'judged',
    model,
    directory,
    modelBytesMax: 1e8,
    stagingDirectory,
    provider,
    intraOpThreads: 1,
  });
  const bare = await ort.InferenceSession.create(model.modelPath, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  for (const batch of BATCHES) {
    const data = Float32Array.from({ length: batch * steps * TAGS }, (_, index) => Math.sin(index));
    const dims = [batch, steps, TAGS];
    const inputs = { window: { type: 'float32', dims, data } } as const;
    const inHost = () => runner.run({ key: 'judged', inputs, finite: true });
    const alone = () => bare.run({ window: new ort.Tensor('float32', data, dims) });
    const ratios: number[] = [];
    const costs: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const limitUs = await costUs(alone);
      const hostUs = await costUs(inHost);
      ratios.push(hostUs / limitUs);
      costs.push(hostUs / batch);
    }
    console.log(
      `batch ${String(batch).padStart(3)}: ${median(costs).toFixed(1)} µs a window in the host, ${median(ratios).toFixed(2)} × the bare run`,
    );
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function trainDefaultModel(models: string): Promise<number> {
  const random = seededRandom(1);
  const rows = trainingRows(
    Array.from({ length: 400 }, (_, row) =>
      Array.from({ length: TAGS }, (__, tag) => Math.sin(row / (5 + tag)) + random()),
    ),
  );
  const { draft } = await trainModel({
    algorithm: wpcaAlgorithm,
    task: 'anomaly',
    segments: [rows],
    targets: undefined,
    classes: [],
    tags: Array.from({ length: TAGS }, (_, tag) => ({ name: `tag-${tag}`, unit: '' })),
    stepMs: 1000,
    windowRows: undefined,
    description: 'for the bench',
    decision: anomalyDecision,
    provenance: {},
  });
  await writeModel(models, 'judged', draft);
  return draft.manifest.window.steps;
}

/** Wall time of one run, in microseconds. */
async function costUs(run: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  for (let count = 0; count < RUNS_A_ROUND; count += 1) await run();
  return ((performance.now() - startMs) * 1000) / RUNS_A_ROUND;
}

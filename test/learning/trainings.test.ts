import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { TrainingProgress, TrainingRequest } from '../../src/contracts/models/model-trainings.ts';
import type { TrainedVersion } from '../../src/learning/training-job.ts';
import { Trainings } from '../../src/learning/trainings.ts';
import { watchSchema, withModel } from '../../src/pipeline/watch-config.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import { testDeps } from '../support/test-deps.ts';

const request: TrainingRequest = { watch: 'pump', fromMs: undefined, toMs: undefined, force: false };
const good: TrainedVersion = { version: 3, warnings: ['few rows'], metrics: { held_out_false_alarm_rate: 0.01 } };

/** Trainings of one watch whose process is played by the test. */
class Bench {
  readonly recorded: string[] = [];
  readonly started = Promise.withResolvers<void>();
  readonly outcome = Promise.withResolvers<TrainedVersion>();
  progress: (progress: TrainingProgress) => void = () => undefined;
  readonly trainings = new Trainings({
    watches: () => new Map([['pump', withModel('pump', watchSchema.parse({ tags: ['a'], model: 'pump-anomaly' }))]]),
    registry: {
      recordTraining: async ({ name, version }, actor) => void this.recorded.push(`${name}@${version} by ${actor}`),
    },
    train: async (_request, signal, onProgress) => {
      this.progress = onProgress;
      signal.addEventListener('abort', () => this.outcome.reject(new Error('ended')));
      this.started.resolve();
      return this.outcome.promise;
    },
    deps: testDeps(),
  });

  /** Resolves when the training in progress and those before it have ended. */
  async ended(): Promise<void> {
    await this.outcome.promise.catch(() => undefined);
    await setImmediate();
  }
}

describe('a training that a person starts', () => {
  test('reports its stage and its share, and at the end the version with its warnings and figures', async () => {
    const bench = new Bench();
    const { trainings } = bench;
    expect(trainings.start(request, 'anna@10.0.0.5')).toMatchObject({ id: 1, model: 'pump-anomaly', state: 'waiting' });
    await bench.started.promise;
    bench.progress({ stage: 'fitting', done: 0.5 });
    expect(trainings.list()).toMatchObject([
      { state: 'running', by: 'anna@10.0.0.5', progress: { stage: 'fitting', done: 0.5 } },
    ]);
    bench.outcome.resolve(good);
    await bench.ended();
    expect(trainings.list()).toMatchObject([{ state: 'trained', ...good }]);
    expect(bench.recorded).toEqual(['pump-anomaly@3 by anna@10.0.0.5']);
  });

  test('runs alone: another one is refused while it runs, and may start after it', async () => {
    const bench = new Bench();
    bench.trainings.start(request, 'anna');
    const again = () => bench.trainings.start(request, 'ben');
    expect(again).toThrow(expect.objectContaining({ code: 'training-busy' }) as Error);
    bench.outcome.reject(new OperatingError('training-too-few-rows', 'reject', '12 rows, expected 600'));
    await bench.ended();
    expect(bench.trainings.list()).toMatchObject([{ state: 'failed', reason: '12 rows, expected 600' }]);
    expect(bench.recorded).toEqual([]);
    expect(again()).toMatchObject({ id: 2, state: 'waiting' });
  });

  test('is cancelled: its process ends, and nothing is recorded', async () => {
    const bench = new Bench();
    bench.trainings.start(request, 'anna');
    await bench.started.promise;
    expect(bench.trainings.cancel(1)).toMatchObject({ state: 'cancelled' });
    await bench.ended();
    expect(bench.trainings.list()).toMatchObject([{ state: 'cancelled', reason: undefined }]);
    expect(bench.recorded).toEqual([]);
    expect(() => bench.trainings.cancel(1)).toThrow(expect.objectContaining({ code: 'training-unknown' }) as Error);
  });

  test('of a watch that does not exist is refused', () => {
    const { trainings } = new Bench();
    const start = () => trainings.start({ ...request, watch: 'other' }, 'anna');
    expect(start).toThrow(expect.objectContaining({ code: 'training-watch-unknown' }) as Error);
  });

  test('delays the training of a watch that learns automatically until its end', async () => {
    const bench = new Bench();
    bench.trainings.start(request, 'anna');
    const learned = bench.trainings.train(request, 'agent', new AbortController().signal);
    expect(bench.trainings.list()).toMatchObject([{ by: 'agent', state: 'waiting' }, { by: 'anna' }]);
    bench.outcome.resolve(good);
    expect(await learned).toEqual(good);
    expect(bench.recorded).toEqual(['pump-anomaly@3 by anna', 'pump-anomaly@3 by agent']);
  });
});

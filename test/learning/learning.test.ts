import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ModelStatus } from '../../src/contracts/inference.ts';
import type { TagReading } from '../../src/contracts/live-events.ts';
import type { WatchStatuses } from '../../src/contracts/watch-statuses.ts';
import { Learning } from '../../src/learning/learning.ts';
import { Trainings } from '../../src/learning/trainings.ts';
import type { TrainedVersion } from '../../src/learning/training-job.ts';
import { watchSchema, withModel } from '../../src/pipeline/watch-config.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testDeps } from '../support/test-deps.ts';

const HOUR = 3_600_000;
const good: TrainedVersion = {
  version: 1,
  warnings: [],
  metrics: { held_out_false_alarm_rate: 0, tags_with_detected_shift: 2 },
};

/** A box with one watch of two tags, whose parts around the learning are played by the test. */
class Box implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly deps = testDeps(this.clock);
  state: ModelStatus['state'] = 'absent';
  versions: number[] = [];
  activatedMs = this.clock.nowMs();
  /** Times of the samples in the history. */
  stored: number[] = [];
  /** False: the second tag has no good value. */
  complete = true;
  /** True: no tag has a good value. */
  silent = false;
  result: () => Promise<TrainedVersion> = async () => good;
  readonly did: string[] = [];
  readonly learning: Learning;

  constructor(learn: object = {}) {
    const watch = withModel('pump', watchSchema.parse({ tags: ['a', 'b'], learn: { for: '2h', ...learn } }));
    const watches = new Map([['pump', watch]]);
    const trainings = new Trainings({
      watches: () => watches,
      registry: { recordTraining: async ({ version }) => void this.did.push(`recorded ${version}`) },
      train: async ({ fromMs = 0, toMs = 0 }) => {
        this.did.push(`trained on ${Math.round((toMs - fromMs) / HOUR)} h`);
        const trained = await this.result();
        this.versions = [...this.versions, trained.version];
        return trained;
      },
      deps: this.deps,
    });
    this.learning = new Learning({
      watches,
      inference: { statuses: () => [this.#status()] },
      directory: { versions: async () => this.versions },
      ledger: {
        standing: async () => ({
          active: 1,
          previous: undefined,
          activatedMs: this.activatedMs,
          pinned: false,
          rejected: [],
        }),
      },
      registry: {
        activate: async (model) => {
          this.did.push(`activated ${model.version}`);
          this.state = 'ready';
          return { ...model, previous: undefined, proof: {} as never };
        },
      },
      propose: (model, version) => this.did.push(`shadow ${model}@${version}`),
      board: this.#board(),
      tagsNextTo: () => new Set(['running']),
      paths: { config: '/plant/andon config.yaml', models: '/plant/models' },
      history: {
        add: () => undefined,
        addScore: () => undefined,
        rollups: async (tags, fromMs, toMs) => {
          const minutes = this.stored.map((timeMs) => Math.floor(timeMs / 60_000) * 60_000);
          const timesMs = Float64Array.from(minutes.filter((timeMs) => timeMs >= fromMs && timeMs <= toMs));
          const counts = timesMs.map(() => 1);
          return tags.map((tag) => ({
            tag,
            timesMs,
            minima: counts,
            maxima: counts,
            means: counts,
            counts,
            qualities: counts,
          }));
        },
        read: async (tags, fromMs, toMs) =>
          tags.map((tag) => {
            const timesMs = Float64Array.from(this.stored.filter((timeMs) => timeMs >= fromMs && timeMs < toMs));
            return { tag, timesMs, values: timesMs };
          }),
      },
      maxAgeMs: () => 5000,
      train: (id, fromMs, toMs, signal) => trainings.train({ watch: id, fromMs, toMs, force: true }, 'agent', signal),
      deps: this.deps,
    });
  }

  get health() {
    return this.deps.health.components().find(({ name }) => name === 'learning/pump');
  }

  /** Starts the learning, which reads the history before it sets its first timer. */
  async start(): Promise<void> {
    this.learning.start();
    await setImmediate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.learning[Symbol.asyncDispose]();
  }

  #seconds(): number {
    return Math.floor(this.clock.nowMs() / 1000);
  }

  #status(): ModelStatus {
    return { name: 'pump', version: 0, state: this.state, reason: undefined, provider: undefined, fallbacks: [] };
  }

  #board(): WatchStatuses {
    const reading = (tag: string): TagReading => ({
      tag,
      value: 1,
      unit: '',
      timestampMs: this.clock.nowMs(),
      quality: !this.silent && (tag === 'a' || this.complete) ? 'good' : 'bad',
      reason: 'none',
    });
    return {
      watches: () => [{ watch: 'pump', tags: [reading('a'), reading('b')] } as never],
      tags: () => [
        { ...reading('a'), tag: 'running', value: this.#seconds() % 70 < 50 ? 1 : 0, text: undefined },
        { ...reading('a'), tag: 'speed', value: this.#seconds() },
      ],
    };
  }
}

describe('a watch without an active model', () => {
  let box: Box;
  beforeEach(() => {
    box = new Box();
    return () => box[Symbol.asyncDispose]();
  });

  test('collects for the configured time, trains once, and proposes the version without activating it', async () => {
    await box.start();
    await box.clock.advance(HOUR);
    expect(box.learning.learningOf('pump')).toMatchObject({ phase: 'collecting', neededMs: 2 * HOUR });
    expect(box.health).toMatchObject({
      status: 'ok',
      reason: expect.stringMatching(/^collecting: 50 %: 61m of 2h in which every tag has good values/),
    });
    await box.clock.advance(HOUR + 120_000);
    expect(box.did).toEqual(['trained on 2 h', 'recorded 1']);
    await box.clock.advance(5 * HOUR);
    expect(box.did).toHaveLength(2);
    expect(box.health).toMatchObject({
      status: 'ok',
      reason:
        "proposed: a model is trained: read /plant/models/pump/1/report.md, then: andon models activate pump@1 -c '/plant/andon config.yaml'",
    });
    expect(box.learning.learningOf('pump')?.command).toBe("andon models activate pump@1 -c '/plant/andon config.yaml'");
  });

  test('counts by the second what the history already has of a short time', async () => {
    await using short = new Box({ for: '1m' });
    const nowMs = short.clock.nowMs();
    short.stored = Array.from({ length: 61 }, (_, second) => nowMs - second * 1000).toReversed();
    await short.start();
    await short.clock.advance(2000);
    expect(short.did).toEqual(['trained on 0 h', 'recorded 1']);
  });

  test('counts what the history already has', async () => {
    const nowMs = box.clock.nowMs();
    box.stored = Array.from({ length: 121 }, (_, minute) => nowMs - minute * 60_000).toReversed();
    await box.start();
    await box.clock.advance(20_000);
    expect(box.did).toEqual(['trained on 2 h', 'recorded 1']);
  });

  test('whose tag has no good values is degraded after twice the time, and names the tag', async () => {
    box.complete = false;
    await box.start();
    await box.clock.advance(3 * HOUR);
    expect(box.health?.status).toBe('ok');
    await box.clock.advance(2 * HOUR);
    expect(box.health).toMatchObject({
      status: 'degraded',
      reason: expect.stringContaining('Least of all has b: 0s'),
    });
    expect(box.did).toEqual([]);
  });

  test('tries again with more history after a failed training', async () => {
    box.result = async () => {
      throw new OperatingError('training-no-variance', 'reject', 'Tag b never changes');
    };
    await box.start();
    await box.clock.advance(2 * HOUR + 120_000);
    expect(box.health).toMatchObject({
      status: 'degraded',
      reason: expect.stringContaining('failed: Tag b never changes. The training is repeated after 12m more'),
    });
    box.result = async () => good;
    await box.clock.advance(900_000);
    expect(box.did).toEqual(['trained on 2 h', 'trained on 2 h', 'recorded 1']);
  });

  test('reports the states of the machine that were seen, also by tags that the watch does not use', async () => {
    await box.start();
    await box.clock.advance(HOUR);
    const { modes = [] } = box.learning.learningOf('pump') ?? {};
    const running = modes.filter(({ tag }) => tag === 'running');
    expect(running.map(({ value }) => value)).toEqual([1, 0]);
    expect(running.reduce((sum, { seenMs }) => sum + seenMs, 0)).toBeCloseTo(HOUR, -5);
    // Both tags of the watch are 1 all the time. The speed is of another source.
    expect(new Set(modes.map(({ tag }) => tag))).toEqual(new Set(['a', 'b', 'running']));
  });

  test('proposes a version that waits already', async () => {
    box.versions = [1, 2];
    await box.start();
    await box.clock.advance(3 * HOUR);
    expect(box.did).toEqual([]);
    expect(box.learning.learningOf('pump')).toMatchObject({ phase: 'proposed', version: 2 });
  });

  test('is done when a version is active', async () => {
    await box.start();
    await box.clock.advance(HOUR);
    box.state = 'ready';
    await box.clock.advance(20_000);
    expect([box.learning.learningOf('pump'), box.health]).toEqual([undefined, undefined]);
  });
});

test('a model that an operator activates meanwhile is not replaced by the one that was being trained', async () => {
  await using box = new Box({ activate: 'automatic' });
  let finish: (trained: TrainedVersion) => void = () => undefined;
  box.result = () => new Promise((resolve) => (finish = resolve));
  await box.start();
  await box.clock.advance(2 * HOUR + 120_000);
  box.state = 'ready';
  await box.clock.advance(20_000);
  finish({ ...good, version: 2 });
  await box.clock.advance(20_000);
  expect(box.did).toEqual(['trained on 2 h', 'recorded 2']);
});

test('a proposal that is removed is followed by another training, with more history', async () => {
  await using box = new Box();
  await box.start();
  await box.clock.advance(2 * HOUR + 120_000);
  box.versions = [];
  await box.clock.advance(60_000);
  expect(box.health?.reason).toContain('version 1 was removed or rejected. The training is repeated after 12m more');
  await box.clock.advance(900_000);
  expect(box.did).toEqual(['trained on 2 h', 'recorded 1', 'trained on 2 h', 'recorded 1']);
});

test('a watch that never gets a value is degraded after twice the time', async () => {
  await using box = new Box();
  box.silent = true;
  await box.start();
  await box.clock.advance(5 * HOUR);
  expect(box.health?.status).toBe('degraded');
});

test('a version that a person trains while a watch collects is proposed', async () => {
  await using box = new Box();
  await box.start();
  await box.clock.advance(HOUR);
  expect(box.learning.learningOf('pump')?.phase).toBe('collecting');
  box.versions = [4];
  await box.clock.advance(20_000);
  expect(box.learning.learningOf('pump')).toMatchObject({ phase: 'proposed', version: 4 });
  await box.clock.advance(5 * HOUR);
  expect(box.did).toEqual([]);
});

describe('with activate: automatic', () => {
  test('a model that detects faults and has no false alarms is activated', async () => {
    await using box = new Box({ activate: 'automatic' });
    await box.start();
    await box.clock.advance(2 * HOUR + 120_000);
    expect(box.did).toEqual(['trained on 2 h', 'recorded 1', 'activated 1']);
  });

  test.each([
    ['whose detection is not known', { ...good, metrics: {} }, 'it is not known what the model detects'],
    [
      'that does not see every tag',
      { ...good, metrics: { ...good.metrics, tags_with_detected_shift: 1 } },
      'a shift of 1 of 2 tags only',
    ],
    [
      'with false alarms',
      { ...good, metrics: { ...good.metrics, held_out_false_alarm_rate: 0.02 } },
      'in alarm 2.0 % of the time',
    ],
    ['with a warning', { ...good, warnings: ['too few rows'] }, 'too few rows'],
  ])('a model %s is only proposed, with the reason', async (_what, trained, reason) => {
    await using box = new Box({ activate: 'automatic' });
    box.result = async () => trained;
    await box.start();
    await box.clock.advance(2 * HOUR + 120_000);
    expect(box.did).toEqual(['trained on 2 h', 'recorded 1']);
    expect(box.health?.reason).toContain(reason);
  });
});

describe('with retrain', () => {
  test('a model that is too old is trained again, and the new version is compared as a shadow', async () => {
    await using box = new Box({ retrain: '24h' });
    box.state = 'ready';
    box.versions = [1];
    box.result = async () => ({ ...good, version: 2 });
    await box.start();
    await box.clock.advance(23 * HOUR);
    expect(box.did).toEqual([]);
    await box.clock.advance(4 * HOUR);
    expect(box.did).toEqual(['trained on 2 h', 'recorded 2', 'shadow pump@2']);
  });

  test('a newer version that waits is compared after a restart, until it is active', async () => {
    await using box = new Box({ retrain: '24h' });
    box.state = 'ready';
    box.versions = [1, 2];
    await box.start();
    await box.clock.advance(20_000);
    expect(box.did).toEqual(['shadow pump@2']);
    box.versions = [1];
    await box.clock.advance(20_000);
    expect(box.did).toEqual(['shadow pump@2', 'shadow pump@undefined']);
  });
});

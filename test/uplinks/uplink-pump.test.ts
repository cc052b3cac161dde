import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { configObject } from '../../src/platform/config-fields.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { uplinkFields } from '../../src/uplinks/uplink-fields.ts';
import { UplinkPump } from '../../src/uplinks/uplink-pump.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryRecordStore } from '../support/memory-record-store.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';
import { type PipeFate, UpstreamPipe } from '../support/upstream-pipe.ts';

/*
 * Invariant: under every fault of the line, the receiver and the outbox, every record arrives at least once or is a
 * dead letter that the receiver refused, first arrivals are in order, and the cursor never passes a record that is
 * neither. The store of these tests throws if a record is settled out of order or twice.
 */
const schema = configObject(uplinkFields({ recordsMax: 3, bytesMax: '100kB', linger: '0ms' }));

type Bench = {
  readonly clock: FakeClock;
  readonly store: MemoryRecordStore;
  readonly pipe: UpstreamPipe;
  readonly pump: UplinkPump;
  readonly deps: Deps;
};

function bench(
  config: z.input<typeof schema> = {},
  inFlightMax = 1,
  store = new MemoryRecordStore(),
  id = 'lake',
): Bench {
  const clock = new FakeClock();
  const deps = testDeps(clock);
  const pipe = new UpstreamPipe();
  const pump = new UplinkPump({ id, config: schema.parse(config), records: store, transport: pipe, inFlightMax, deps });
  return { clock, store, pipe, pump, deps };
}

/** Advances the clock also for operations in flight. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await clock.advance(0);
  await clock.advance(ms);
}

async function advanceUntil(clock: FakeClock, done: () => boolean, stepMs = 500): Promise<void> {
  for (let step = 0; step < 5000 && !done(); step += 1) await clock.advance(stepMs);
  expect(done(), 'must happen').toBe(true);
}

function health(deps: Deps, name = 'uplink/lake') {
  return deps.health.components().find((component) => component.name === name);
}

const fate = fc.constantFrom<PipeFate>('stored', 'lost', 'stored-and-lost', 'refused', 'too-large');

test('no sequence of faults loses a record, makes a dead letter of one that was not refused, or changes the order', async () => {
  const outages = fc.array(fc.nat(60), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fate, { maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 5 }),
      outages,
      async (fates, commits, inFlightMax, outagesAt) => {
        const { clock, store, pipe, pump } = bench({}, inFlightMax);
        // Only HTTP reports a batch as too large, and it has one in flight at a time.
        pipe.fates.push(...fates.filter((one) => one !== 'too-large' || inFlightMax === 1));
        pump.start();
        for (const count of commits) {
          await store.appendVerdicts(count);
          await pass(clock, 50);
        }
        for (let step = 0; step < 200; step += 1) {
          store.unavailable = outagesAt.includes(step);
          await clock.advance(1000);
        }
        store.unavailable = false;
        await advanceUntil(clock, () => store.waiting('lake') === 0);
        await pump[Symbol.asyncDispose]();

        const dead = new Set(store.deadLetters.map(({ record }) => record.id));
        const expected = store.stored.map(({ id }) => id);
        expect(pipe.ids).toEqual(expected.filter((id) => pipe.ids.includes(id)));
        expect(expected.filter((id) => !pipe.ids.includes(id) && !dead.has(id))).toEqual([]);
        expect(clock.timers).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

describe('a backlog', () => {
  test('is sent with as many batches in flight as the transport keeps in order, and no more', async () => {
    const { clock, store, pipe, pump } = bench({}, 4);
    await store.appendVerdicts(60);
    pump.start();
    await advanceUntil(clock, () => pipe.arrived.length === 60);
    expect(pipe.inFlightMost).toBe(4);
    await pump[Symbol.asyncDispose]();
  });

  test('is sent no faster than its configured rate', async () => {
    const { clock, store, pipe, pump } = bench({ pace: { recordsPerSecond: 6 } });
    await store.appendVerdicts(60);
    pump.start();
    await pass(clock, 5000);
    expect(pipe.arrived.length).toBeGreaterThanOrEqual(27);
    expect(pipe.arrived.length).toBeLessThanOrEqual(36);
    await pump[Symbol.asyncDispose]();
  });

  test('is sent after live records with live-first, and never starves', async () => {
    const { clock, store, pipe, pump } = bench({ order: 'live-first' });
    await store.appendVerdicts(30);
    const old = store.stored.at(-1)?.sequence ?? 0;
    pump.start();
    await clock.advance(0);
    for (let second = 0; second < 100; second += 1) {
      await store.appendVerdicts(1);
      await pass(clock, 1000);
    }
    await advanceUntil(clock, () => store.waiting('lake') === 0);
    const live = pipe.arrived.filter(({ sequence }) => sequence > old).map(({ sequence }) => sequence);
    const backlog = pipe.arrived.filter(({ sequence }) => sequence <= old).map(({ sequence }) => sequence);
    expect(live).toEqual(live.toSorted((a, b) => a - b));
    expect(backlog).toEqual(store.stored.slice(0, old).map(({ sequence }) => sequence));
    expect(pipe.arrived.length).toBe(130);
    await pump[Symbol.asyncDispose]();
  });

  test('gets its turn after four live reads', async () => {
    const { clock, store, pipe, pump } = bench({ order: 'live-first', batch: { recordsMax: 1 } });
    await store.appendVerdicts(3);
    pipe.holds = true;
    pump.start();
    await pass(clock, 10);
    await store.appendVerdicts(20);
    pipe.release();
    await advanceUntil(clock, () => store.waiting('lake') === 0, 1);
    // The first was read before anything was live.
    expect(pipe.arrived.map(({ sequence }) => sequence).slice(0, 11)).toEqual([1, 4, 5, 6, 7, 2, 8, 9, 10, 11, 3]);
    await pump[Symbol.asyncDispose]();
  });
});

describe('an idle uplink', () => {
  test('reads nothing until a commit, and then sends immediately', async () => {
    const { clock, store, pipe, pump } = bench();
    pump.start();
    await pass(clock, 20_000);
    expect(store.reads.length).toBe(1);
    await store.appendVerdicts(1);
    await pass(clock, 1);
    expect(pipe.arrived.length).toBe(1);
    await pump[Symbol.asyncDispose]();
  });

  test('collects records for the configured time', async () => {
    const { clock, store, pipe, pump } = bench({ batch: { linger: '200ms' } });
    pump.start();
    await pass(clock, 1000);
    for (let record = 0; record < 3; record += 1) {
      await store.appendVerdicts(1);
      await pass(clock, 20);
    }
    expect(pipe.batches).toEqual([]);
    await pass(clock, 200);
    expect(pipe.batches).toEqual([3]);
    await pump[Symbol.asyncDispose]();
  });

  test('reads only the configured kinds of records from the outbox', async () => {
    const { clock, store, pipe, pump } = bench({ records: ['alarm'] });
    await store.appendVerdicts(2);
    await store.appendVerdicts(1, 0, 'alarm');
    pump.start();
    await pass(clock, 1000);
    expect(pipe.arrived.map(({ kind }) => kind)).toEqual(['alarm']);
    await pump[Symbol.asyncDispose]();
  });
});

describe('an unreachable receiver', () => {
  test('is retried without end, finally once a minute, and reported in health', async () => {
    const { clock, store, pipe, pump, deps } = bench();
    pipe.fates.push(...Array.from({ length: 500 }, () => 'lost' as const));
    await store.appendVerdicts(3);
    pump.start();
    await pass(clock, 3_600_000);
    expect(pipe.batches.length).toBeGreaterThanOrEqual(60);
    expect(pipe.batches.length).toBeLessThanOrEqual(130);
    expect(health(deps)?.status).toBe('degraded');
    expect(health(deps)?.reason).toMatch(/connection lost; 3 records wait, the oldest for \d+/);
    expect(await metricValue(deps, 'andon_uplink_records_waiting{uplink="lake"}')).toBe(3);
    expect(await metricValue(deps, 'andon_uplink_oldest_waiting_seconds{uplink="lake"}')).toBeGreaterThan(3500);
    await pump[Symbol.asyncDispose]();
  });

  test('is tried immediately when its connection is back', async () => {
    const { clock, store, pipe, pump, deps } = bench({ retry: { first: '1h', max: '1h' } });
    pipe.fates.push('lost');
    await store.appendVerdicts(1);
    pump.start();
    await pass(clock, 1000);
    pipe.setState({ connected: false, reason: 'The broker refused the login' });
    expect(health(deps)?.reason).toContain('refused the login');
    pipe.setState({ connected: true });
    await pass(clock, 1);
    expect(pipe.arrived.length).toBe(1);
    expect(health(deps)?.status).toBe('ok');
    await pump[Symbol.asyncDispose]();
  });

  test('does not delay another uplink on the same outbox', async () => {
    const { clock, store, pipe: dead, pump, deps } = bench();
    const pipe = new UpstreamPipe();
    const config = schema.parse({});
    const other = new UplinkPump({ id: 'cloud', config, records: store, transport: pipe, inFlightMax: 1, deps });
    dead.holds = true;
    pump.start();
    other.start();
    await pass(clock, 10);
    for (let record = 1; record <= 20; record += 1) {
      await store.appendVerdicts(1);
      await pass(clock, 1);
      expect(pipe.arrived.length, 'arrives at the time of its commit').toBe(record);
    }
    expect(dead.arrived).toEqual([]);
    expect(store.waiting('lake')).toBe(20);
    await other[Symbol.asyncDispose]();
    const stopping = pump[Symbol.asyncDispose]();
    await pass(clock, 10_000);
    await stopping;
  });
});

describe('a receiver that was unreachable', () => {
  test('is retried with the shortest wait if it fails again after a success', async () => {
    const { clock, store, pipe, pump } = bench();
    pipe.fates.push(...Array.from({ length: 10 }, () => 'lost' as const), 'stored', 'lost');
    await store.appendVerdicts(3);
    pump.start();
    await advanceUntil(clock, () => pipe.arrived.length === 3);
    await pass(clock, 1000);
    await store.appendVerdicts(3);
    await pass(clock, 1500);
    expect(pipe.arrived.length).toBe(6);
    await pump[Symbol.asyncDispose]();
  });

  test('gets no request for the time it requests and a little more, even if it requests none', async () => {
    const { clock, store, pipe, pump } = bench();
    pipe.retryAfterMs = 0;
    pipe.fates.push(...Array.from({ length: 1000 }, () => 'lost' as const));
    await store.appendVerdicts(3);
    pump.start();
    await pass(clock, 60_000);
    expect(pipe.batches.length).toBeGreaterThan(50);
    expect(pipe.batches.length).toBeLessThan(130);
    await pump[Symbol.asyncDispose]();
  });
});

describe('a refused batch', () => {
  test('becomes dead letters with the reason, and the next batch is sent', async () => {
    const { clock, store, pipe, pump, deps } = bench();
    pipe.fates.push('stored', 'refused');
    await store.appendVerdicts(9);
    pump.start();
    await advanceUntil(clock, () => store.waiting('lake') === 0);
    expect(store.deadLetters.map(({ record }) => record.sequence)).toEqual([4, 5, 6]);
    expect(store.deadLetters[0]?.reason).toBe('unknown watch');
    expect(pipe.arrived.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 7, 8, 9]);
    expect(await metricValue(deps, 'andon_uplink_dead_letters_total{uplink="lake",code="uplink-refused"}')).toBe(3);
    await pump[Symbol.asyncDispose]();
  });

  test('is counted in health with those before it, and an accepted batch between them does not hide it', async () => {
    const { clock, store, pipe, pump, deps } = bench();
    pipe.fates.push('refused');
    await store.appendVerdicts(1);
    pump.start();
    await advanceUntil(clock, () => store.waiting('lake') === 0);
    expect(health(deps)?.reason).toMatch(/^1 record was refused and kept as dead letters: /);
    pipe.fates.push('stored', 'refused');
    await store.appendVerdicts(3);
    await advanceUntil(clock, () => store.waiting('lake') === 0);
    expect(pipe.arrived).toHaveLength(3);
    expect(health(deps)?.reason).toMatch(/^1 record was/);
    await store.appendVerdicts(3);
    await advanceUntil(clock, () => store.waiting('lake') === 0);
    expect(health(deps)?.reason).toMatch(/^4 records were refused and kept as dead letters: /);
    await store.appendVerdicts(1);
    await pass(clock, 120_000);
    expect(health(deps)?.status).toBe('ok');
    await pump[Symbol.asyncDispose]();
  });

  test('stays in health until the receiver accepts another', async () => {
    const { clock, store, pipe, pump, deps } = bench();
    pipe.fates.push('refused');
    await store.appendVerdicts(3);
    pump.start();
    await pass(clock, 60_000);
    expect(health(deps)?.status).toBe('degraded');
    await store.appendVerdicts(1);
    await pass(clock, 1);
    expect(health(deps)?.status).toBe('ok');
    await pump[Symbol.asyncDispose]();
  });

  test('after refused batches slows the uplink down, because the receiver is probably at fault', async () => {
    const { clock, store, pipe, pump } = bench();
    pipe.fates.push(...Array.from({ length: 500 }, () => 'refused' as const));
    await store.appendVerdicts(1500);
    pump.start();
    await pass(clock, 600_000);
    expect(store.deadLetters.length).toBeLessThan(100);
    await pump[Symbol.asyncDispose]();
  });

  test('is split if it is too large, down to the one record that is', async () => {
    const { clock, store, pipe, pump, deps } = bench({ batch: { recordsMax: 8 } });
    // 8 → 4 (taken), 4 → 2 → 1 (refused), 1, 2.
    pipe.fates.push('too-large', 'stored', 'too-large', 'too-large', 'too-large');
    await store.appendVerdicts(8);
    pump.start();
    await advanceUntil(clock, () => store.waiting('lake') === 0);
    expect(pipe.batches).toEqual([8, 4, 4, 2, 1, 1, 2]);
    expect(store.deadLetters.map(({ record }) => record.sequence)).toEqual([5]);
    expect(await metricValue(deps, 'andon_uplink_splits_total{uplink="lake"}')).toBe(3);
    await pump[Symbol.asyncDispose]();
  });
});

describe('a stop', () => {
  test('waits for the batch in flight and acknowledges it in the outbox', async () => {
    const { clock, store, pipe, pump } = bench();
    pipe.holds = true;
    await store.appendVerdicts(3);
    pump.start();
    await pass(clock, 10);
    const stopping = pump[Symbol.asyncDispose]();
    pipe.release();
    await pass(clock, 10);
    await stopping;
    expect(store.waiting('lake')).toBe(0);
    expect(clock.timers).toBe(0);
  });

  test('leaves records without a response within stopTimeout in the outbox', async () => {
    const { clock, store, pipe, pump, deps } = bench({ stopTimeout: '2s' });
    pipe.holds = true;
    await store.appendVerdicts(3);
    pump.start();
    await pass(clock, 10);
    const stopping = pump[Symbol.asyncDispose]();
    await pass(clock, 2000);
    await stopping;
    expect(store.waiting('lake')).toBe(3);
    expect(pipe.disposed).toBe(1);
    expect(health(deps)).toBeUndefined();
    expect(clock.timers).toBe(0);
  });

  test('is quick in the middle of a backoff, and may be called twice, or before the start', async () => {
    const { clock, store, pipe, pump } = bench();
    pipe.fates.push('lost');
    await store.appendVerdicts(3);
    pump.start();
    await pass(clock, 10);
    await Promise.all([pump[Symbol.asyncDispose](), pump[Symbol.asyncDispose]()]);
    expect(pipe.disposed).toBe(1);
    const never = bench();
    await never.pump[Symbol.asyncDispose]();
    never.pump.start();
    await never.store.appendVerdicts(1);
    await never.clock.advance(60_000);
    expect(never.pipe.batches).toEqual([]);
  });
});

describe('an outbox that is being reopened', () => {
  test('stops the sending, is reported, and gets the acknowledgements of that time later', async () => {
    const { clock, store, pipe, pump, deps } = bench();
    pipe.holds = true;
    await store.appendVerdicts(30);
    pump.start();
    await pass(clock, 10);
    store.unavailable = true;
    pipe.release();
    await pass(clock, 5000);
    expect(pipe.arrived.length, 'two reads and no more').toBe(24);
    expect(health(deps)?.reason).toContain('The outbox is being reopened');
    store.unavailable = false;
    await advanceUntil(clock, () => store.waiting('lake') === 0);
    expect(pipe.arrived.length, 'nothing is sent twice').toBe(30);
    expect(health(deps)?.status).toBe('ok');
    await pump[Symbol.asyncDispose]();
  });

  test('does not delay a stop', async () => {
    const { clock, store, pipe, pump } = bench({ retry: { first: '1h', max: '1h' }, stopTimeout: '1m' });
    pipe.holds = true;
    await store.appendVerdicts(3);
    pump.start();
    await pass(clock, 0);
    store.unavailable = true;
    pipe.release();
    await pass(clock, 10);
    const startedMs = clock.monotonicMs();
    const stopping = pump[Symbol.asyncDispose]();
    await pass(clock, 0);
    await stopping;
    expect(clock.monotonicMs()).toBe(startedMs);
    expect(store.waiting('lake'), 'sent again at the next start').toBe(3);
  });

  test('and rejects an acknowledgement finally returns the records again, at the rate of the outbox', async () => {
    const { clock, store, pipe, pump, deps } = bench();
    store.rejections = 5;
    await store.appendVerdicts(6);
    pump.start();
    await pass(clock, 5000);
    expect(health(deps)?.reason).toContain('An older record waits');
    expect(pipe.arrived.length, 'no storm of repeats').toBeLessThanOrEqual(30);
    await advanceUntil(clock, () => store.waiting('lake') === 0);
    expect(pipe.ids).toEqual(store.stored.map(({ id }) => id));
    expect(health(deps)?.status).toBe('ok');
    await pump[Symbol.asyncDispose]();
  });
});

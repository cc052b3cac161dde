import { expect, test } from 'vitest';
import type { RecordBatch } from '../../src/domain/record/record-batch.ts';
import { recordObjects } from '../../src/domain/record/record-object.ts';
import type { RecordDraft, RecordKind } from '../../src/domain/record/record.ts';
import { SeededDraws } from '../../src/domain/seeded-draws.ts';
import { thinSchema } from '../../src/uplinks/thinning/thin-config.ts';
import { ThinnedRecords } from '../../src/uplinks/thinning/thinned-records.ts';
import { MemoryRecordStore } from '../support/memory-record-store.ts';

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2026, 10, 30, 6);
const kinds: readonly RecordKind[] = ['alarm', 'verdict', 'sample', 'loss', 'start', 'output'];

function verdict(atMs: number, state = 'normal', score: number | null = 1, watch = 'pump-1'): RecordDraft {
  const body = { watch, score, verdict: state, reason: '', tags: { flow: score, level: null }, quality: {} };
  return { kind: 'verdict', timestampMs: START_MS + atMs, watch, body, alarm: undefined };
}

function sample(atMs: number, values: object): RecordDraft {
  return { kind: 'sample', timestampMs: START_MS + atMs, watch: '', body: { values }, alarm: undefined };
}

function alarm(atMs: number): RecordDraft {
  return { kind: 'alarm', timestampMs: START_MS + atMs, watch: 'pump-1', body: { watch: 'pump-1' }, alarm: undefined };
}

type Thin = Parameters<typeof thinSchema.parse>[0];

class Reader {
  readonly store: MemoryRecordStore;
  readonly #thin: Thin;
  readonly #recordsMax: number;
  #records: ThinnedRecords;

  constructor(thin: Thin, store = new MemoryRecordStore(), recordsMax = 100) {
    this.store = store;
    this.#thin = thin;
    this.#recordsMax = recordsMax;
    this.#records = new ThinnedRecords(store, thinSchema.parse(thin));
  }

  /** Starts as an agent that was killed does: only the position is left. */
  killed(): void {
    this.#records = new ThinnedRecords(this.store, thinSchema.parse(this.#thin));
  }

  read(after?: number, batchesMax = 4): Promise<readonly RecordBatch[]> {
    const limits = { recordsMax: this.#recordsMax, bytesMax: 1e6 };
    return this.#records.read({ uplink: 'x', lane: 'backlog', kinds, limits, batchesMax, after });
  }

  acknowledge(batches: readonly RecordBatch[]): Promise<void> {
    return this.#records.acknowledge('x', batches);
  }

  /** Reads and acknowledges everything that has ended. */
  async sent() {
    const all = [];
    for (let read = await this.read(); read.length > 0; read = await this.read()) {
      all.push(...read.flatMap(recordObjects));
      await this.acknowledge(read);
    }
    return all;
  }
}

test('a minute of verdicts is one summary of each watch, and the changes', async () => {
  const reader = new Reader({});
  const minute = Array.from({ length: 60 }, (_, second) => [
    verdict(second * 1000, second === 30 ? 'abnormal' : 'normal', second),
    verdict(second * 1000, 'unknown', null, 'pump-2'),
  ]).flat();
  await reader.store.append([...minute, verdict(MINUTE_MS)]);
  const sent = await reader.sent();
  // The first verdict of each watch after a start is sent too.
  expect(sent.filter(({ kind }) => kind === 'verdict').map(({ id }) => id)).toEqual([
    'edge-01/e1/1',
    'edge-01/e1/2',
    'edge-01/e1/61',
    'edge-01/e1/63',
  ]);
  expect(sent.filter(({ kind }) => kind === 'summary')).toEqual([
    {
      id: 'edge-01/e1/1-119',
      kind: 'summary',
      timestamp_ms: START_MS + 59_000,
      records: 'verdict',
      from: 1,
      to: 119,
      count: 60,
      from_ms: START_MS,
      watch: 'pump-1',
      first: 'normal',
      last: 'normal',
      verdicts: { normal: 59, abnormal: 1 },
      unknown: 0,
      score: { min: 0, mean: 29.5, max: 59 },
      tags: { flow: [0, 29.5, 59], level: null },
    },
    expect.objectContaining({ id: 'edge-01/e1/2-120', watch: 'pump-2', count: 60, unknown: 1, score: null }),
  ]);
  expect(reader.store.waiting('x')).toBe(1);
});

test('an alarm is sent immediately, with the summary of the records before it', async () => {
  const reader = new Reader({});
  await reader.store.append([verdict(0), verdict(1000)]);
  expect(await reader.sent()).toEqual([]);
  await reader.store.append([alarm(1500)]);
  expect((await reader.sent()).map(({ id }) => id)).toEqual(['edge-01/e1/1', 'edge-01/e1/3', 'edge-01/e1/1-2']);
  expect(reader.store.waiting('x')).toBe(0);
});

test('samples: the first of an interval, after `every`, over the deadband, and each change of quality', async () => {
  const reader = new Reader({ samples: { every: '10s', deadband: 5 } });
  await reader.store.append([
    sample(0, { flow: [10, 'good'], level: [1, 'good'] }),
    sample(1000, { flow: [14, 'good'] }),
    sample(2000, { flow: [16, 'good'] }),
    sample(3000, { flow: [16, 'uncertain'] }),
    sample(13_000, { flow: [16, 'uncertain'], level: [2, 'good'] }),
    sample(MINUTE_MS, { flow: [16, 'uncertain'] }),
  ]);
  const sent = await reader.sent();
  expect(sent.slice(0, -1).map(({ id, values }) => [id, values])).toEqual([
    ['edge-01/e1/1', { flow: [10, 'good'], level: [1, 'good'] }],
    ['edge-01/e1/3', { flow: [16, 'good'] }],
    ['edge-01/e1/4', { flow: [16, 'uncertain'] }],
    ['edge-01/e1/5', { flow: [16, 'uncertain'], level: [2, 'good'] }],
  ]);
  expect(sent.at(-1)).toMatchObject({
    id: 'edge-01/e1/1-5',
    records: 'sample',
    tags: { flow: [10, 14.4, 16], level: [1, 1.5, 2, 2] },
  });
});

test('`verdicts: all` without samples leaves everything as it is', async () => {
  const reader = new Reader({ verdicts: 'all' });
  await reader.store.append([verdict(0), sample(0, { flow: [1, 'good'] }), verdict(1000), alarm(1000)]);
  expect((await reader.sent()).map(({ id }) => id)).toEqual([1, 2, 3, 4].map((number) => `edge-01/e1/${number}`));
});

test('a clock that goes back by hours ends a segment, and one late record does not', async () => {
  const reader = new Reader({});
  const at = [MINUTE_MS, MINUTE_MS - 1, MINUTE_MS + 1, -600 * MINUTE_MS, -600 * MINUTE_MS + 1, -599 * MINUTE_MS];
  await reader.store.append(at.map((atMs) => verdict(atMs)));
  const summaries = (await reader.sent()).filter(({ kind }) => kind === 'summary');
  expect(summaries.map(({ id }) => id)).toEqual(['edge-01/e1/1-3', 'edge-01/e1/4-5']);
});

/** 1,200 records: three watches, samples, a few alarms. */
function some(seed: number, everyMs: number): readonly RecordDraft[] {
  const draws = new SeededDraws(seed);
  const draw = () => draws.uniform();
  return Array.from({ length: 1200 }, (_, step) => {
    const atMs = step * everyMs + Math.floor(draw() * 0.9 * everyMs);
    const kind = draw();
    if (kind < 0.01) return alarm(atMs);
    if (kind < 0.3) return sample(atMs, { flow: [Math.round(draw() * 100), draw() < 0.9 ? 'good' : 'bad'] });
    return verdict(atMs, draw() < 0.5 ? 'normal' : 'abnormal', draw(), `pump-${Math.floor(draw() * 3)}`);
  });
}

// With 50 ms the segments end by their size.
test.each([
  [1, 3000],
  [2, 3000],
  [3, 50],
])('an agent that is killed anywhere sends the same summaries (seed %i, every %i ms)', async (seed, everyMs) => {
  const thin = { samples: { every: '20s' } };
  const drafts = some(seed, everyMs);
  const whole = new Reader(thin);
  await whole.store.append(drafts);
  const expected = (await whole.sent()).filter(({ kind }) => kind === 'summary');
  expect(expected.length).toBeGreaterThan(10);

  const draws = new SeededDraws(seed + 100);
  const draw = () => draws.uniform();
  const reader = new Reader(thin, new MemoryRecordStore(), 1 + Math.floor(draw() * 50));
  const received = new Map<string, object>();
  let appended = 0;
  while (appended < drafts.length) {
    const more = 1 + Math.floor(draw() * 40);
    await reader.store.append(drafts.slice(appended, appended + more));
    appended += more;
    const first = await reader.read(undefined, 1 + Math.floor(draw() * 3));
    const ahead = first.length > 0 ? await reader.read(first.at(-1)?.last.sequence) : [];
    for (const batch of [...first, ...ahead])
      for (const record of recordObjects(batch)) {
        // A record that is sent again is the same.
        expect(record).toEqual(received.get(record.id) ?? record);
        received.set(record.id, record);
      }
    if (draw() < 0.4) reader.killed();
    else if (first.length > 0) await reader.acknowledge([...first, ...ahead].slice(0, 1 + Math.floor(draw() * 3)));
    if (draw() < 0.2) reader.killed();
  }
  reader.killed();
  for (const record of await reader.sent()) received.set(record.id, record);
  expect([...received.values()].filter((record) => 'records' in record)).toEqual(expect.arrayContaining(expected));
  expect([...received.keys()].filter((id) => id.includes('-', id.lastIndexOf('/')))).toHaveLength(expected.length);
});

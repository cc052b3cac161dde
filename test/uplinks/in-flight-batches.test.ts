import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { recordJson, type StoredRecord } from '../../src/domain/record/record.ts';
import { type BatchLimits, RecordBatch, RecordBatchWriter } from '../../src/domain/record/record-batch.ts';
import { InFlightBatches, type Settlement } from '../../src/uplinks/in-flight-batches.ts';
import { recordsIn } from '../support/batch-records.ts';

function record(sequence: number, padding = 0): StoredRecord {
  const body = JSON.stringify({ padding: 'é'.repeat(padding) });
  return { id: `edge/e1/${sequence}`, sequence, kind: 'verdict', timestampMs: 1000, watch: 'pump-1', body };
}

function recordsOf(paddings: readonly number[]): readonly StoredRecord[] {
  return paddings.map((padding, index) => record(index + 1, padding));
}

function settlements(batches: InFlightBatches): readonly Settlement[] {
  const taken: Settlement[] = [];
  for (let next = batches.takeSettled(); next !== undefined; next = batches.takeSettled()) taken.push(next);
  return taken;
}

function batchesOf(records: readonly StoredRecord[], limits: BatchLimits): readonly RecordBatch[] {
  const writer = new RecordBatchWriter(limits);
  for (const one of records)
    writer.add(one, (to) => {
      to.text(recordJson(one));
      return true;
    });
  return writer.end().map((batch) => new RecordBatch(batch));
}

function inFlight(records: readonly StoredRecord[], recordsMax: number): InFlightBatches {
  const batches = new InFlightBatches();
  batches.add(batchesOf(records, { recordsMax, bytesMax: 1e6 }));
  return batches;
}

function recordsOfSettlement(settlement: Settlement): readonly StoredRecord[] {
  return recordsIn(settlement.type === 'acknowledge' ? settlement.batches : [settlement.batch]);
}

function expectWhole(batches: readonly RecordBatch[], records: readonly StoredRecord[], bytesMax: number): void {
  expect(recordsIn(batches).map(({ id, sequence, body }) => [id, sequence, body])).toEqual(
    records.map(({ id, sequence, body }) => [id, sequence, body]),
  );
  for (const batch of batches) {
    const own = recordsIn([batch]);
    expect([batch.first.id, batch.last.id]).toEqual([own[0]?.id, own.at(-1)?.id]);
    expect([batch.first.sequence, batch.last.sequence]).toEqual([own[0]?.sequence, own.at(-1)?.sequence]);
    expect(batch.length === 1 || batch.bytes <= bytesMax).toBe(true);
  }
}

describe('a batch', () => {
  const paddings = fc.array(fc.nat(400), { minLength: 1, maxLength: 60 });
  const bytes = fc.integer({ min: 1, max: 4000 });

  test('never exceeds its limits, and every record is in exactly one, in order', () => {
    fc.assert(
      fc.property(paddings, fc.integer({ min: 1, max: 20 }), bytes, (sizes, recordsMax, bytesMax) => {
        const records = recordsOf(sizes);
        const batches = batchesOf(records, { recordsMax, bytesMax });
        expectWhole(batches, records, bytesMax);
        for (const { length } of batches) expect(length).toBeLessThanOrEqual(recordsMax);
      }),
    );
  });

  test('is divided into batches within a smaller limit, or into halves, with every record once', () => {
    fc.assert(
      fc.property(paddings, bytes, (sizes, bytesMax) => {
        const records = recordsOf(sizes);
        const [whole] = batchesOf(records, { recordsMax: 100, bytesMax: 1e9 });
        if (whole === undefined) throw new Error('one batch has all records');
        expect(whole.length).toBe(records.length);
        expectWhole(whole.within(bytesMax), records, bytesMax);
        if (whole.length > 1) expectWhole(whole.halves(), records, 1e9);
      }),
    );
  });
});

describe('batches are reported to the outbox', () => {
  test('in the order of the records, each once, in any order of the responses', () => {
    const answers = fc.array(fc.tuple(fc.nat(9), fc.constantFrom('acknowledge', 'refuse', 'give-back', 'split')));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), answers, (count, script) => {
        const records = recordsOf(Array.from({ length: count }, () => 0));
        const batches = inFlight(records, 4);
        const settled: number[] = [];
        const underWay: RecordBatch[] = [];
        const answer = ([pick, what]: readonly [number, string]) => {
          const next = batches.next();
          if (next !== undefined) underWay.push(next);
          const [batch] = underWay.splice(pick % Math.max(1, underWay.length), 1);
          if (batch === undefined) return;
          if (what === 'acknowledge') batches.acknowledge(batch);
          else if (what === 'refuse') batches.refuse(batch, 'code', 'reason');
          else if (what === 'split' && batch.length > 1) batches.split(batch);
          else batches.giveBack(batch);
          for (const settlement of settlements(batches))
            settled.push(...recordsOfSettlement(settlement).map(({ sequence }) => sequence));
        };
        script.forEach(answer);
        const expected = records.map(({ sequence }) => sequence);
        expect(settled).toEqual(expected.slice(0, settled.length));
        for (let turn = 0; turn < 2 * count + 10; turn += 1) answer([0, 'acknowledge']);
        expect(settled).toEqual(expected);
        expect(batches.open).toBe(false);
      }),
    );
  });

  test('an acknowledged batch is not reported while an older one is in flight', () => {
    const batches = inFlight(recordsOf([0, 0]), 1);
    const older = batches.next();
    const newer = batches.next();
    if (older === undefined || newer === undefined) throw new Error('two batches were planned');
    batches.acknowledge(newer);
    expect(batches.takeSettled()).toBeUndefined();
    batches.refuse(older, 'uplink-refused', 'HTTP 400');
    expect(settlements(batches).map(({ type }) => type)).toEqual(['set-aside', 'acknowledge']);
  });

  test('acknowledgements without another result between them are one', () => {
    const batches = inFlight(recordsOf([0, 0, 0, 0]), 1);
    const [first, second, third] = [batches.next(), batches.next(), batches.next()];
    if (first === undefined || second === undefined || third === undefined) throw new Error('four were planned');
    batches.acknowledge(second);
    batches.refuse(third, 'uplink-refused', 'HTTP 400');
    batches.acknowledge(first);
    expect(settlements(batches).map((settlement) => recordsOfSettlement(settlement).length)).toEqual([2, 1]);
    expect(batches.open).toBe(true);
  });

  test('in groups while others are in flight, and immediately when none is', () => {
    const batches = inFlight(recordsOf(Array.from({ length: 12 }, () => 0)), 1);
    const sent = Array.from({ length: 10 }, () => batches.next()).filter((batch) => batch !== undefined);
    const due = sent.map((batch) => {
      batches.acknowledge(batch);
      return batches.isStoringDue;
    });
    expect(due.indexOf(true), 'eight results are a group').toBe(7);
    settlements(batches);
    const [eleventh, last] = [batches.next(), batches.next()];
    if (eleventh === undefined || last === undefined) throw new Error('twelve were planned');
    batches.acknowledge(eleventh);
    expect(batches.isStoringDue).toBe(false);
    batches.giveBack(last);
    expect(batches.isStoringDue, 'the last one waits to be sent again').toBe(true);
  });
});

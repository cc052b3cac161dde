import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { recordJson, type StoredRecord } from '../../src/domain/record/record.ts';
import { InFlightBatches, planBatches, type Settlement } from '../../src/uplinks/in-flight-batches.ts';

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

describe('a batch', () => {
  const paddings = fc.array(fc.nat(400), { maxLength: 60 });

  test('never exceeds its limits, and every record is in exactly one, in order', () => {
    fc.assert(
      fc.property(
        paddings,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 4000 }),
        (sizes, most, bytes) => {
          const records = recordsOf(sizes);
          const batches = planBatches(records, { recordsMax: most, bytesMax: bytes });
          expect(batches.flatMap((batch) => batch.records)).toEqual(records);
          for (const batch of batches) {
            expect(batch.records.length).toBeLessThanOrEqual(most);
            expect(batch.bytes).toBe(
              batch.records.reduce((sum, one) => sum + Buffer.byteLength(recordJson(one)) + 1, 0),
            );
            expect(batch.records.length === 1 || batch.bytes <= bytes).toBe(true);
          }
        },
      ),
    );
  });
});

describe('batches are reported to the outbox', () => {
  test('in the order of the records, each once, in any order of the responses', () => {
    const answers = fc.array(fc.tuple(fc.nat(9), fc.constantFrom('acknowledge', 'refuse', 'give-back', 'split')));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), answers, (count, script) => {
        const records = recordsOf(Array.from({ length: count }, () => 0));
        const batches = new InFlightBatches(planBatches(records, { recordsMax: 4, bytesMax: 1e6 }));
        const told: StoredRecord[] = [];
        const underWay: ReturnType<typeof planBatches>[number][] = [];
        const answer = ([pick, what]: readonly [number, string]) => {
          const next = batches.next();
          if (next !== undefined) underWay.push(next);
          const [batch] = underWay.splice(pick % Math.max(1, underWay.length), 1);
          if (batch === undefined) return;
          if (what === 'acknowledge') batches.acknowledge(batch);
          else if (what === 'refuse') batches.refuse(batch, 'code', 'reason');
          else if (what === 'split' && batch.records.length > 1) batches.split(batch);
          else batches.giveBack(batch);
          for (const settlement of settlements(batches)) told.push(...settlement.records);
        };
        script.forEach(answer);
        expect(told).toEqual(records.slice(0, told.length));
        for (let turn = 0; turn < 2 * count + 10; turn += 1) answer([0, 'acknowledge']);
        expect(told).toEqual(records);
        expect(batches.open).toBe(false);
      }),
    );
  });

  test('an acknowledged batch is not reported while an older one is in flight', () => {
    const batches = new InFlightBatches(planBatches(recordsOf([0, 0]), { recordsMax: 1, bytesMax: 1e6 }));
    const older = batches.next();
    const newer = batches.next();
    if (older === undefined || newer === undefined) throw new Error('two batches were planned');
    batches.acknowledge(newer);
    expect(batches.takeSettled()).toBeUndefined();
    batches.refuse(older, 'uplink-refused', 'HTTP 400');
    expect(settlements(batches).map(({ type }) => type)).toEqual(['set-aside', 'acknowledge']);
  });

  test('acknowledgements without another result between them are one', () => {
    const batches = new InFlightBatches(planBatches(recordsOf([0, 0, 0, 0]), { recordsMax: 1, bytesMax: 1e6 }));
    const [first, second, third] = [batches.next(), batches.next(), batches.next()];
    if (first === undefined || second === undefined || third === undefined) throw new Error('four were planned');
    batches.acknowledge(second);
    batches.refuse(third, 'uplink-refused', 'HTTP 400');
    batches.acknowledge(first);
    expect(settlements(batches).map(({ records }) => records.length)).toEqual([2, 1]);
    expect(batches.open).toBe(true);
  });
});

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Placed, planReads } from '../../../src/sources/modbus/plan/register-plan.ts';

const limits = { maxGap: 16, maxRegisters: 125, maxBits: 2000 };

/** Places of all four kinds, dense enough to join and to overlap. */
const places = fc.array(
  fc.oneof(
    fc.record({
      functionCode: fc.constantFrom(3 as const, 4 as const),
      address: fc.nat(400),
      width: fc.constantFrom(1, 2, 4),
    }),
    fc.record({ functionCode: fc.constantFrom(1 as const, 2 as const), address: fc.nat(5000), width: fc.constant(1) }),
  ),
  { minLength: 1, maxLength: 60 },
);
const anyLimits = fc.record({
  maxGap: fc.nat(20),
  maxRegisters: fc.integer({ min: 4, max: 125 }),
  maxBits: fc.integer({ min: 1, max: 2000 }),
});

describe('reads planned for tags', () => {
  test('every tag is whole in exactly one read of its own function code', () => {
    fc.assert(
      fc.property(places, anyLimits, (items, chosen) => {
        const blocks = planReads(items, chosen);
        const planned = blocks.flatMap((block) =>
          block.items.map((item) => {
            expect(item.functionCode).toBe(block.functionCode);
            expect(item.address).toBeGreaterThanOrEqual(block.address);
            expect(item.address + item.width).toBeLessThanOrEqual(block.address + block.count);
            return item;
          }),
        );
        expect(new Set(planned)).toEqual(new Set(items));
        expect(planned).toHaveLength(items.length);
      }),
    );
  });

  test('no read is longer than the device answers, and none bridges a wider gap than allowed', () => {
    fc.assert(
      fc.property(places, anyLimits, (items, chosen) => {
        for (const block of planReads(items, chosen)) {
          const bits = block.functionCode <= 2;
          expect(block.count).toBeLessThanOrEqual(bits ? chosen.maxBits : chosen.maxRegisters);
          expect(widestGap(block.items)).toBeLessThanOrEqual(bits ? chosen.maxGap * 16 : chosen.maxGap);
        }
      }),
    );
  });

  test('there is no plan with fewer reads', () => {
    const few = fc.array(
      fc.record({ functionCode: fc.constant(3 as const), address: fc.nat(24), width: fc.constantFrom(1, 2, 4) }),
      { minLength: 1, maxLength: 6 },
    );
    const tight = fc.record({
      maxGap: fc.nat(4),
      maxRegisters: fc.integer({ min: 4, max: 10 }),
      maxBits: fc.constant(8),
    });
    fc.assert(
      fc.property(few, tight, (items, chosen) => {
        expect(planReads(items, chosen).length).toBe(fewestReads(items, chosen));
      }),
      { numRuns: 300 },
    );
  });

  test('no read touches a refused address, unless it holds a tag', () => {
    fc.assert(
      fc.property(places, places, (items, refused) => {
        for (const block of planReads(items, limits, refused)) {
          if (block.items.length === 1) continue;
          const touched = refused.filter((place) => overlaps(place, block));
          expect(touched).toEqual([]);
        }
      }),
    );
  });

  test('registers up to maxGap apart are read in one', () => {
    const at = (address: number): Placed => ({ functionCode: 3, address, width: 1 });
    expect(planReads([at(0), at(17)], limits)).toHaveLength(1);
    expect(planReads([at(0), at(18)], limits)).toHaveLength(2);
  });

  test('bits that cost as much as maxGap registers are read in one', () => {
    const at = (address: number): Placed => ({ functionCode: 1, address, width: 1 });
    expect(planReads([at(0), at(257)], limits)).toHaveLength(1);
    expect(planReads([at(0), at(258)], limits)).toHaveLength(2);
  });

  test('a thousand registers in a row take eight reads', () => {
    const row = Array.from({ length: 1000 }, (_, address): Placed => ({ functionCode: 4, address, width: 1 }));
    expect(planReads(row, limits).map(({ count }) => count)).toEqual([125, 125, 125, 125, 125, 125, 125, 125]);
  });
});

function widestGap(items: readonly Placed[]): number {
  let end = Infinity;
  let gap = 0;
  for (const { address, width } of items) {
    gap = Math.max(gap, address - end);
    end = end === Infinity ? address + width : Math.max(end, address + width);
  }
  return gap;
}

function overlaps(place: Placed, block: { functionCode: number; address: number; count: number }): boolean {
  return (
    place.functionCode === block.functionCode &&
    place.address < block.address + block.count &&
    place.address + place.width > block.address
  );
}

/** By trying every way to put the items into groups. */
function fewestReads(items: readonly Placed[], chosen: { maxGap: number; maxRegisters: number }): number {
  const allowed = (group: readonly Placed[]): boolean => {
    const sorted = group.toSorted((a, b) => a.address - b.address);
    const from = sorted[0]?.address ?? 0;
    const end = Math.max(...sorted.map(({ address, width }) => address + width));
    return end - from <= chosen.maxRegisters && widestGap(sorted) <= chosen.maxGap;
  };
  const place = (index: number, groups: readonly (readonly Placed[])[]): number => {
    const item = items[index];
    if (item === undefined) return groups.every(allowed) ? groups.length : Infinity;
    const joined = groups.map((group, at) => place(index + 1, groups.with(at, [...group, item])));
    return Math.min(...joined, place(index + 1, [...groups, [item]]));
  };
  return place(0, []);
}

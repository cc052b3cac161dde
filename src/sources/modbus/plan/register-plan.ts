import type { ReadFunctionCode } from '../frame/read-pdu.ts';
import { readsBits } from '../frame/read-pdu.ts';

/** A value's place in a device's address space. */
export type Placed = {
  readonly functionCode: ReadFunctionCode;
  readonly address: number;
  /** Registers, or 1 for a bit. */
  readonly width: number;
};

/** One read, and the values in it by ascending address. */
export type ReadBlock<T extends Placed> = {
  readonly functionCode: ReadFunctionCode;
  readonly address: number;
  /** Registers, or bits for function codes 1 and 2. */
  readonly count: number;
  readonly items: readonly T[];
};

export type ReadLimits = {
  /** Registers read and thrown away to join two reads; 16 times as many bits cost the same on the wire. */
  readonly maxGap: number;
  readonly maxRegisters: number;
  readonly maxBits: number;
};

const BITS_PER_REGISTER = 16;

/**
 * Joins values into the fewest reads that the limits allow; no value is ever split over two reads.
 *
 * Greedy from the lowest address on, which is the fewest: a value that would make the block too long starts
 * the next one, and whatever else could still have gone in the first fits the second as well.
 *
 * @param unreadable Values that no read may touch, not even as a gap: their addresses are known to be refused.
 */
export function planReads<T extends Placed>(
  items: readonly T[],
  limits: ReadLimits,
  unreadable: readonly Placed[] = [],
): readonly ReadBlock<T>[] {
  const sorted = items.toSorted((a, b) => a.functionCode - b.functionCode || a.address - b.address);
  const blocks: ReadBlock<T>[] = [];
  let open: T[] = [];
  for (const item of sorted) {
    if (open.length > 0 && !joins(open, item, limits, unreadable)) {
      blocks.push(blockOf(open));
      open = [];
    }
    open.push(item);
  }
  if (open.length > 0) blocks.push(blockOf(open));
  return blocks;
}

/** The one read that covers all of them. @param items At least one, by ascending address, of one function code. */
export function blockOf<T extends Placed>(items: readonly T[]): ReadBlock<T> {
  const [first] = items;
  if (first === undefined) throw new RangeError('A read of nothing');
  const { functionCode, address } = first;
  return { functionCode, address, count: endOf(items) - address, items };
}

function joins<T extends Placed>(
  open: readonly T[],
  item: T,
  limits: ReadLimits,
  unreadable: readonly Placed[],
): boolean {
  const [first] = open;
  if (first === undefined || first.functionCode !== item.functionCode) return false;
  const bits = readsBits(item.functionCode);
  const countMax = bits ? limits.maxBits : limits.maxRegisters;
  const gapMax = bits ? limits.maxGap * BITS_PER_REGISTER : limits.maxGap;
  const end = endOf(open);
  const newEnd = Math.max(end, item.address + item.width);
  if (newEnd - first.address > countMax || item.address - end > gapMax) return false;
  return !unreadable.some((place) => touches(place, item.functionCode, first.address, newEnd));
}

function touches(place: Placed, functionCode: ReadFunctionCode, from: number, end: number): boolean {
  return place.functionCode === functionCode && place.address < end && place.address + place.width > from;
}

/** First address after the items; a wide value may reach past narrower ones that start later. */
function endOf(items: readonly Placed[]): number {
  let end = 0;
  for (const { address, width } of items) end = Math.max(end, address + width);
  return end;
}

import { type ReadFunctionCode, readsBits } from '../frame/read-pdu.ts';

/** Location of a value in a device's address space. */
export type Placed = {
  readonly functionCode: ReadFunctionCode;
  readonly address: number;
  /** Number of registers; 1 for a bit. */
  readonly width: number;
};

/** One read and its values by ascending address. */
export type ReadBlock<T extends Placed> = {
  readonly functionCode: ReadFunctionCode;
  readonly address: number;
  /** Number of registers, or of bits for function codes 1 and 2. */
  readonly count: number;
  readonly items: readonly T[];
};

export type ReadLimits = {
  /** Maximum number of unused registers between two joined values; 16 times as many bits cost the same on the wire. */
  readonly maxGap: number;
  readonly maxRegisters: number;
  readonly maxBits: number;
};

const BITS_PER_REGISTER = 16;

/**
 * Joins values into the fewest reads that the limits allow; no value is split over two reads.
 *
 * Greedy from the lowest address, which gives the minimum: a value that would make the block too long starts the next
 * block, and every later value that fits the first block fits the second too.
 *
 * @param unreadable Values that no read may touch, not even in a gap: the device refuses their addresses.
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

/** Returns the read that covers all items. @param items At least one, by ascending address, of one function code. */
export function blockOf<T extends Placed>(items: readonly T[]): ReadBlock<T> {
  const [first] = items;
  if (first === undefined) throw new RangeError('A read needs at least one value');
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

/** Returns the first address after the items; a wide value may end after narrower ones that start later. */
function endOf(items: readonly Placed[]): number {
  let end = 0;
  for (const { address, width } of items) end = Math.max(end, address + width);
  return end;
}

import { countMax, type ReadFunctionCode, type ReadRequest, readsBits, type RegisterBits } from '../frame/read-pdu.ts';

/** Location of a value in a device's address space. */
export type Placed = {
  readonly functionCode: ReadFunctionCode;
  readonly address: number;
  /** Number of registers; 1 for a bit. */
  readonly width: number;
  /** Size of a register; 16 if undefined. Registers of another size are another address space. */
  readonly registerBits?: RegisterBits | undefined;
};

/** One read and its values by ascending address. */
export type ReadBlock<T extends Placed> = Omit<ReadRequest, 'unitId'> & {
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
  const sorted = items.toSorted(
    (a, b) => a.functionCode - b.functionCode || sizeOf(a) - sizeOf(b) || a.address - b.address,
  );
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
  const { functionCode, address, registerBits } = first;
  return { functionCode, address, count: endOf(items) - address, registerBits, items };
}

function joins<T extends Placed>(
  open: readonly T[],
  item: T,
  limits: ReadLimits,
  unreadable: readonly Placed[],
): boolean {
  const [first] = open;
  if (first === undefined || !isSameSpace(first, item)) return false;
  const bits = readsBits(item.functionCode);
  const most = Math.min(bits ? limits.maxBits : limits.maxRegisters, countMax(item));
  const gapMax = bits ? limits.maxGap * BITS_PER_REGISTER : limits.maxGap;
  const end = endOf(open);
  const newEnd = Math.max(end, item.address + item.width);
  if (newEnd - first.address > most || item.address - end > gapMax) return false;
  return !unreadable.some((place) => touches(place, item, first.address, newEnd));
}

function isSameSpace(a: Placed, b: Placed): boolean {
  return a.functionCode === b.functionCode && sizeOf(a) === sizeOf(b);
}

function sizeOf({ registerBits = 16 }: Placed): RegisterBits {
  return registerBits;
}

function touches(place: Placed, item: Placed, from: number, end: number): boolean {
  return isSameSpace(place, item) && place.address < end && place.address + place.width > from;
}

/** Returns the first address after the items; a wide value may end after narrower ones that start later. */
function endOf(items: readonly Placed[]): number {
  let end = 0;
  for (const { address, width } of items) end = Math.max(end, address + width);
  return end;
}

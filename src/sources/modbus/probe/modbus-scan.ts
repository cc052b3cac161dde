import type { RegisterKind } from '../frame/read-pdu.ts';

/** First and last address, both included. */
export type AddressRange = { readonly first: number; readonly last: number };

/**
 * Result of one read: `refused` may be readable in smaller parts, `unsupported` is not with any address. `failed` is exception 4:
 * some gateways answer so for units that they do not have.
 */
export type ScanAnswer = 'read' | 'refused' | 'failed' | 'unsupported' | 'silent';

/** Sends one request at a time to a device. Reads only. */
export interface ScanReader {
  read(unit: number, kind: RegisterKind, range: AddressRange): Promise<ScanAnswer>;
  /** Returns the objects of function 43/14, such as vendor, product code and revision; empty if the unit has none. */
  identify(unit: number): Promise<readonly string[]>;
}

export type ScannedUnit = {
  readonly unit: number;
  readonly identification: readonly string[];
  readonly ranges: Readonly<Partial<Record<RegisterKind, readonly AddressRange[]>>>;
};

export type ScanOptions = {
  readonly units: AddressRange;
  readonly addresses: AddressRange;
  /** Smallest part of a refused block that is read on its own, in addresses. */
  readonly partMin: number;
  readonly onUnit: (unit: number) => void;
};

/** Addresses in one request. Every device accepts this many registers. */
const BLOCK = 100;
export const registerKinds = ['holding', 'input', 'coil', 'discrete'] as const satisfies readonly RegisterKind[];

/** Returns the most requests of a scan: for units that do not answer, and for each unit that does. */
export function scanLoad({ units, addresses, partMin }: ScanOptions): {
  readonly units: number;
  readonly each: number;
} {
  const blocks = Math.ceil((addresses.last - addresses.first + 1) / BLOCK);
  const parts = 2 * Math.ceil(BLOCK / partMin);
  return { units: units.last - units.first + 1, each: 1 + registerKinds.length * blocks * parts };
}

/** Yields the units that answer, each with its identification and readable addresses. */
export async function* scanUnits(
  reader: ScanReader,
  options: ScanOptions,
): AsyncGenerator<ScannedUnit, void, undefined> {
  const { units, addresses } = options;
  for (let unit = units.first; unit <= units.last; unit += 1) {
    options.onUnit(unit);
    const answer = await reader.read(unit, 'holding', { first: addresses.first, last: addresses.first });
    if (answer === 'silent') continue;
    const identification = await reader.identify(unit);
    const ranges: Partial<Record<RegisterKind, readonly AddressRange[]>> = {};
    for (const kind of registerKinds) {
      const found = await readableRanges((range) => reader.read(unit, kind, range), options);
      if (found.length > 0) ranges[kind] = found;
    }
    if (answer !== 'failed' || Object.keys(ranges).length > 0) yield { unit, identification, ranges };
  }
}

/**
 * Finds the readable addresses by bisection of refused blocks.
 *
 * A refused part is halved down to `partMin`, and down to one address where its other half is readable: there the
 * readable range has its end.
 */
async function readableRanges(
  read: (range: AddressRange) => Promise<ScanAnswer>,
  { addresses, partMin }: ScanOptions,
): Promise<readonly AddressRange[]> {
  const found: AddressRange[] = [];
  let isFailing = true;
  /** @returns False if the device does not answer, or not for this kind. */
  const search = async (range: AddressRange, sizeMin: number): Promise<boolean> => {
    const answer = await read(range);
    isFailing &&= answer === 'failed';
    if (answer === 'read') found.push(range);
    if (answer === 'unsupported' || answer === 'silent') return false;
    if (answer === 'read' || range.last - range.first < Math.max(1, sizeMin - 1)) return true;
    const middle = Math.floor((range.first + range.last) / 2);
    const before = found.length;
    const low = { first: range.first, last: middle };
    const high = { first: middle + 1, last: range.last };
    if (!(await search(low, sizeMin))) return false;
    const hasLow = found.length > before;
    if (!(await search(high, hasLow ? 1 : sizeMin))) return false;
    // The readable part starts within the lower half.
    if (!hasLow && sizeMin > 1 && found.at(-1)?.first === high.first) return search(low, 1);
    return true;
  };
  for (let first = addresses.first; first <= addresses.last; first += BLOCK) {
    const block = { first, last: Math.min(first + BLOCK - 1, addresses.last) };
    // The few registers of a small device are usually the first ones.
    const isSearched = await search(block, first === addresses.first ? 1 : partMin);
    if (!isSearched || isFailing) break;
  }
  return joined(found);
}

function joined(ranges: readonly AddressRange[]): readonly AddressRange[] {
  const result: AddressRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const last = result.at(-1);
    if (last !== undefined && range.first <= last.last + 1)
      result[result.length - 1] = { first: last.first, last: Math.max(last.last, range.last) };
    else result.push(range);
  }
  return result;
}

import type { EpochMs } from './epoch-ms.ts';

/** Offsets change at whole quarters of an hour. */
const QUARTER_MS = 900_000;
const DAY_MS = 86_400_000;
/** Quarters whose offset is kept, for each zone. */
const KEPT_MAX = 10_000;

type Zone = { readonly format: Intl.DateTimeFormat; readonly offsets: Map<number, number> };

const zones = new Map<string, Zone>();

/** True for a zone of the IANA database, such as Europe/Berlin, and for UTC. */
export function isTimeZone(name: string): boolean {
  try {
    return zoneOf(name) !== undefined;
  } catch {
    return false;
  }
}

/**
 * Returns the times that a clock on the wall of the zone shows as `localMs`, the earlier first: one; none in the hour that is
 * left out in spring; two in the hour that occurs twice in autumn.
 *
 * @param localMs Local time as if it were UTC, in milliseconds.
 * @param zone An IANA zone; see `isTimeZone`.
 */
export function timesOfLocal(localMs: number, zone: string): readonly EpochMs[] {
  // The same two times for a whole day, so that the offsets of most times are known.
  const dayMs = Math.floor(localMs / DAY_MS) * DAY_MS;
  const [before, after] = [offsetMs(dayMs - DAY_MS, zone), offsetMs(dayMs + 2 * DAY_MS, zone)];
  if (before === after) return [localMs - before];
  return [before, after]
    .map((offset) => localMs - offset)
    .filter((timeMs) => timeMs + offsetMs(timeMs, zone) === localMs)
    .toSorted((a, b) => a - b);
}

/** Returns the time that a clock on the wall of the zone shows, as if it were UTC, in milliseconds. */
export function localTimeMs(timeMs: EpochMs, zone: string): number {
  return timeMs + offsetMs(timeMs, zone);
}

/** Offset of the zone from UTC; positive in the east. */
function offsetMs(timeMs: EpochMs, name: string): number {
  const { format, offsets } = zoneOf(name);
  const quarter = Math.floor(timeMs / QUARTER_MS);
  const known = offsets.get(quarter);
  if (known !== undefined) return known;
  const atMs = quarter * QUARTER_MS;
  const parts = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  const offset = Date.UTC(year, month - 1, day, hour, minute, second) - atMs;
  if (offsets.size >= KEPT_MAX) offsets.clear();
  offsets.set(quarter, offset);
  return offset;
}

/** @throws {RangeError} The zone does not exist. */
function zoneOf(name: string): Zone {
  const known = zones.get(name);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: name,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const zone = { format, offsets: new Map<number, number>() };
  zones.set(name, zone);
  return zone;
}

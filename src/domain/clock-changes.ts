import { timesOfLocal } from './time-zone.ts';

/**
 * Zones whose clocks change at different local hours: those of Europe, North America, Chile, Australia and New Zealand.
 * Neighbouring zones change at the same local hour as one of these.
 */
const ZONES = [
  'Europe/London',
  'Europe/Berlin',
  'Europe/Athens',
  'America/New_York',
  'America/Santiago',
  'Australia/Sydney',
  'Australia/Lord_Howe',
  'Pacific/Auckland',
];
/** Clocks change at half hours or full hours. */
const HALF_HOUR_MS = 1_800_000;

/**
 * Finds the change of the clocks that a series of local times without a zone goes over. Read as UTC, the times after it are an
 * hour off.
 *
 * A time in an hour that a zone leaves out in spring proves that the times are not those of the zone.
 */
export class ClockChanges {
  /** Offset of each zone at the time before. */
  readonly #offsets: Map<string, number | undefined>;
  #halfHour = Number.NaN;

  /** @param ownZone Zone of this machine. */
  constructor(ownZone: string) {
    this.#offsets = new Map([...ZONES, ownZone].map((zone) => [zone, undefined]));
  }

  /** Returns the zone whose clocks change between the time before and this one, or repeat its hour; undefined if there is none. */
  changedZone(localMs: number): string | undefined {
    const halfHour = Math.floor(localMs / HALF_HOUR_MS);
    if (halfHour === this.#halfHour) return undefined;
    this.#halfHour = halfHour;
    for (const [zone, before] of this.#offsets) {
      const [first, second] = timesOfLocal(localMs, zone);
      if (first === undefined) {
        this.#offsets.delete(zone);
        continue;
      }
      const offset = localMs - first;
      if (second !== undefined || (before !== undefined && before !== offset)) return zone;
      this.#offsets.set(zone, offset);
    }
    return undefined;
  }
}

/** Returns the zone of this machine. */
export function ownTimeZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

import type { EpochMs } from './epoch-ms.ts';

/** Units of a time as a number, from the short names that configuration and command line use. */
export const timeUnits = [
  's',
  'ms',
  'us',
  'ns',
  'filetime',
  'ticks',
  'labview',
  'excel',
  'excel1904',
  'wincc',
  'matlab',
] as const;

/**
 * `s`, `ms`, `us`, `ns`: since 1970, UTC. `filetime`: 100 ns since 1601, UTC (Windows). `labview`: s since 1904, UTC. The others are local time. `ticks`: 100 ns
 * since the year 1 (.NET). `excel`: days since 1899-12-30; `excel1904`: since 1904-01-01 (Excel for Mac). `wincc`: Excel days times
 * 1,000,000. `matlab`: days of datenum.
 */
export type TimeUnit = (typeof timeUnits)[number];

const DAY_MS = 86_400_000;
/** 1899-12-30, 1904-01-01, 1601-01-01, 0001-01-01 and the year 0 of datenum as epoch milliseconds. */
const EXCEL_EPOCH_MS = -2_209_161_600_000;
const EXCEL_1904_EPOCH_MS = -2_082_844_800_000;
const FILETIME_EPOCH_MS = -11_644_473_600_000;
const TICKS_EPOCH_MS = -62_135_596_800_000;
const MATLAB_EPOCH_MS = -719_529 * DAY_MS;
/** The day numbers of `excel1904` are also those of other years in `excel`, and those of `matlab` in Python. */
const ambiguous: ReadonlySet<TimeUnit> = new Set(['excel1904', 'matlab']);
const local: ReadonlySet<TimeUnit> = new Set(['ticks', 'excel', 'excel1904', 'wincc', 'matlab']);
/** 2000-01-01 and 2065-01-01. Devices with an unset clock send earlier times. */
const EARLIEST_MS = 946_684_800_000;
const LATEST_MS = 2_997_993_600_000;

const toMs: Readonly<Record<TimeUnit, (value: number) => EpochMs>> = {
  s: (value) => value * 1000,
  ms: (value) => value,
  us: (value) => value / 1000,
  ns: (value) => value / 1e6,
  filetime: (value) => value / 1e4 + FILETIME_EPOCH_MS,
  // A day number has about 15 digits: 0.1 ms is its rounding error.
  excel: (value) => Math.round(value * DAY_MS) + EXCEL_EPOCH_MS,
  ticks: (value) => value / 1e4 + TICKS_EPOCH_MS,
  labview: (value) => value * 1000 + EXCEL_1904_EPOCH_MS,
  excel1904: (value) => Math.round(value * DAY_MS) + EXCEL_1904_EPOCH_MS,
  matlab: (value) => Math.round(value * DAY_MS) + MATLAB_EPOCH_MS,
  wincc: (value) => Math.round((value / 1e6) * DAY_MS) + EXCEL_EPOCH_MS,
};

/** Returns epoch milliseconds. If the unit is local, the result is as if the zone were UTC. */
export function epochMsOf(value: number, unit: TimeUnit): EpochMs {
  return toMs[unit](value);
}

/** True for units whose times have no zone. */
export function isLocalUnit(unit: TimeUnit): boolean {
  return local.has(unit);
}

/** True if the number is a time from 2000 to 2064 in the unit. */
export function isPlausibleIn(value: number, unit: TimeUnit): boolean {
  const timeMs = epochMsOf(value, unit);
  return timeMs >= EARLIEST_MS && timeMs < LATEST_MS;
}

/**
 * Returns the unit in which the number is a time from 2000 to 2064; undefined if there is none, and for `excel1904` and `matlab`.
 * The ranges of the other units do not overlap.
 */
export function timeUnitOf(value: number): TimeUnit | undefined {
  return timeUnits.find((unit) => !ambiguous.has(unit) && isPlausibleIn(value, unit));
}

/** Converts a number of seconds, ms, µs or ns since 1970, or a FILETIME, by its magnitude; undefined if it is not a time from 2000 to 2064. */
export function plausibleEpochMs(value: number): EpochMs | undefined {
  const unit = timeUnitOf(value);
  return unit === undefined || isLocalUnit(unit) ? undefined : epochMsOf(value, unit);
}

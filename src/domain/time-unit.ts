import type { EpochMs } from './epoch-ms.ts';

/** Units of a time as a number, from the short names that configuration and command line use. */
export const timeUnits = ['s', 'ms', 'us', 'ns', 'filetime', 'excel', 'wincc'] as const;

/**
 * `s`, `ms`, `us`, `ns`: since 1970, UTC. `filetime`: 100 ns since 1601, UTC (Windows). `excel`: days since 1899-12-30, local
 * time. `wincc`: Excel days times 1,000,000.
 */
export type TimeUnit = (typeof timeUnits)[number];

const DAY_MS = 86_400_000;
/** 1899-12-30 and 1601-01-01 as epoch milliseconds. */
const EXCEL_EPOCH_MS = -2_209_161_600_000;
const FILETIME_EPOCH_MS = -11_644_473_600_000;
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
  wincc: (value) => Math.round((value / 1e6) * DAY_MS) + EXCEL_EPOCH_MS,
};

/** Returns epoch milliseconds. Excel and WinCC times are local: the result is as if the zone were UTC. */
export function epochMsOf(value: number, unit: TimeUnit): EpochMs {
  return toMs[unit](value);
}

/** True for Excel days and WinCC times, which have no zone. */
export function isLocalUnit(unit: TimeUnit): boolean {
  return unit === 'excel' || unit === 'wincc';
}

/**
 * Returns the only unit in which the number is a time from 2000 to 2064; undefined if there is none. These ranges do not
 * overlap.
 */
export function timeUnitOf(value: number): TimeUnit | undefined {
  return timeUnits.find((unit) => {
    const timeMs = epochMsOf(value, unit);
    return timeMs >= EARLIEST_MS && timeMs < LATEST_MS;
  });
}

/** Converts a number of seconds, ms, µs or ns since 1970, or a FILETIME, by its magnitude; undefined if it is not a time from 2000 to 2064. */
export function plausibleEpochMs(value: number): EpochMs | undefined {
  const unit = timeUnitOf(value);
  return unit === undefined || isLocalUnit(unit) ? undefined : epochMsOf(value, unit);
}

import type { EpochMs } from '../epoch-ms.ts';
import { localTimeMs } from '../time-zone.ts';

export const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;

/** Part of a week, in minutes of the day. It ends on the next day if `toMinute` is not after `fromMinute`. */
type Shift = {
  readonly days: readonly (typeof weekdays)[number][];
  readonly fromMinute: number;
  readonly toMinute: number;
};

/** Shifts of a channel. Without shifts it is always open. */
export type ShiftSchedule = { readonly timeZone: string; readonly shifts: readonly Shift[] };

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;

/** Returns true if a time is within a shift. The days of a shift are those of its begin. */
export function isOpen({ timeZone, shifts }: ShiftSchedule, timeMs: EpochMs): boolean {
  if (shifts.length === 0) return true;
  const minutes = Math.floor(localTimeMs(timeMs, timeZone) / MINUTE_MS);
  const minute = minutes % DAY_MINUTES;
  // 1 January 1970 was a Thursday.
  const day = (Math.floor(minutes / DAY_MINUTES) + 4) % 7;
  return shifts.some(({ days, fromMinute, toMinute }) => {
    const begins = (weekday: number) => days.some((name) => weekdays[weekday] === name);
    if (fromMinute < toMinute) return begins(day) && minute >= fromMinute && minute < toMinute;
    return (begins(day) && minute >= fromMinute) || (begins((day + 6) % 7) && minute < toMinute);
  });
}

import type { EpochMs } from '../../domain/epoch-ms.ts';
import { parseTimeText } from '../../domain/time-text.ts';
import { epochMsOf, isLocalUnit, plausibleEpochMs, type TimeUnit } from '../../domain/time-unit.ts';
import { timesOfLocal } from '../../domain/time-zone.ts';

/** How the times of a tag are written. */
export type TimeFormat = {
  /** Undefined: the unit by which the number is a time from 2000 to 2064. */
  readonly unit: TimeUnit | undefined;
  /** Zone of times without one; undefined: such a time is refused. */
  readonly zone: string | undefined;
};

/** 2000-01-01. A time before it is from a device with an unset clock. */
const EARLIEST_MS = 946_684_800_000;
/** Of the two times of an hour, one is taken if the message arrives at most this long after it. Stored messages can be of either. */
const EITHER_MS = 1_800_000;
const NUMBER = /^[+-]?\d{1,20}(?:\.\d{1,20})?$/;

/**
 * Decodes a time of a payload: a number in the unit, or a date and time.
 *
 * @param arrivalMs Of the two times of an hour that occurs twice in autumn, the nearer one is meant if it is within 30 minutes.
 * @returns Undefined if it is not a time, before the year 2000, without a zone, or can be in either of two hours.
 */
export function decodeTime(value: unknown, { unit, zone }: TimeFormat, arrivalMs: EpochMs): EpochMs | undefined {
  const number =
    typeof value === 'string' && NUMBER.test(value.trim()) && !/^\d{14}$/.test(value.trim()) ? Number(value) : value;
  const timeMs =
    typeof number === 'number' || typeof number === 'bigint'
      ? timeOfNumber(Number(number))
      : typeof number === 'string'
        ? timeOfText(number.trim())
        : undefined;
  return timeMs !== undefined && timeMs >= EARLIEST_MS ? timeMs : undefined;

  function timeOfNumber(count: number): EpochMs | undefined {
    if (!Number.isFinite(count)) return undefined;
    if (unit === undefined) return plausibleEpochMs(count);
    return isLocalUnit(unit) ? nearest(epochMsOf(count, unit)) : epochMsOf(count, unit);
  }

  function timeOfText(text: string): EpochMs | undefined {
    const written = parseTimeText(text);
    if (written === undefined) return undefined;
    return written.offsetMs === undefined ? nearest(written.localMs) : written.localMs - written.offsetMs;
  }

  function nearest(localMs: number): EpochMs | undefined {
    if (zone === undefined) return undefined;
    const distance = (candidateMs: EpochMs) => Math.abs(candidateMs - arrivalMs);
    const [first, other] = timesOfLocal(localMs, zone).toSorted((a, b) => distance(a) - distance(b));
    return other !== undefined && first !== undefined && distance(first) > EITHER_MS ? undefined : first;
  }
}

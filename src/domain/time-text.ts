/** A written time. `localMs` is the time as if it were UTC; `offsetMs` is what its zone is ahead of UTC. */
export type WrittenTime = {
  readonly localMs: number;
  /** Undefined if the text has no zone. */
  readonly offsetMs: number | undefined;
};

/** Order of the numbers of `03/04/2026`, where the year is last. */
export type DateOrder = 'dmy' | 'mdy';

/** Longest text that is parsed as a time. */
const CHARACTERS_MAX = 64;
const CLOCK = String.raw`(\d{1,2})(?::?(\d\d)(?::?(\d\d)(?:[.,:](\d{1,9}))?)?)?(?:\s*([AaPp])\.?[Mm]\.?)?`;
const ZONE = String.raw`(?:\s*([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)(?:\s*\([\w ]*\))?)?`;
const dates = {
  /** `2026-03-02`, `2026/03/02`, `2026.03.02`, `20260302`. */
  ymd: /(\d{4})([-/.]?)(\d\d?)\2(\d\d?)/,
  /** `02.03.2026`, `3/2/2026`, `02-03-2026`. */
  numbers: /(\d\d?)([-/.])(\d\d?)\2(\d{4})/,
  /** `Mon, 02 Mar 2026`, `02-Mar-2026`. */
  name: /(?:[A-Za-z]{3,9},?\s+)?(\d\d?)[-\s]([A-Za-z]{3})[a-z]*[-\s](\d{4})/,
} as const;
const pattern = (date: RegExp) => new RegExp(`^${date.source}(?:(?:\\s*[Tt]|,?\\s+)${CLOCK}${ZONE})?$`);
const ymd = pattern(dates.ymd);
const numbers = pattern(dates.numbers);
const named = pattern(dates.name);
/** `202603020600`, `20260302060000`, `20260302060000250`. */
const compact = /^(\d{8})(\d{4}(?:\d{2}(?:[.,]\d{1,9}|\d{3})?)?)$/;
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/**
 * Parses ISO 8601 (extended, basic and without seconds), RFC 2822, and dates with slashes, points or AM and PM.
 *
 * @param order Applies to dates with the year last. Without it, such a date is parsed only if points separate its numbers:
 *   they are used with the day first.
 * @returns Undefined if the text is not a time, or its date does not exist.
 */
export function parseTimeText(written: string, order?: DateOrder): WrittenTime | undefined {
  if (written.length > CHARACTERS_MAX) return undefined;
  const text = written.replace(compact, '$1T$2').replace(/^(\d{8}T\d{6})(\d{3})$/, '$1.$2');
  const first = ymd.exec(text);
  if (first !== null) {
    const [, year, , month, day, ...clock] = first;
    // Basic dates have two digits for each part.
    return first[2] === '' && !/^\d{8}(\D|$)/.test(text) ? undefined : timeOf(year, month, day, clock);
  }
  const last = numbers.exec(text);
  if (last !== null) {
    const [, a, separator, b, year, ...clock] = last;
    const actual = order ?? (separator === '.' ? 'dmy' : undefined);
    if (actual === undefined) return undefined;
    return actual === 'dmy' ? timeOf(year, b, a, clock) : timeOf(year, a, b, clock);
  }
  const [, day, name = '', year, ...clock] = named.exec(text) ?? [];
  const month = months.indexOf(name.toLowerCase()) + 1;
  return month === 0 ? undefined : timeOf(year, String(month), day, clock);
}

/** Returns the orders in which a date with slashes or hyphens and the year last exists. */
export function dateOrdersOf(text: string): readonly DateOrder[] {
  if (!numbers.test(text)) return [];
  return (['dmy', 'mdy'] as const).filter((order) => parseTimeText(text, order) !== undefined);
}

function timeOf(
  year = '',
  month = '',
  day = '',
  [hourText = '0', minute = '0', second = '0', fraction = '0', half, zone]: readonly (string | undefined)[],
): WrittenTime | undefined {
  const midnightMs = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const date = new Date(midnightMs);
  // Date.UTC accepts 30 February as a day in March.
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  const hour = half === undefined ? Number(hourText) : hourOfHalf(Number(hourText), half.toLowerCase() === 'p');
  if (hour === undefined || hour > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const wholeMs = midnightMs + ((hour * 60 + Number(minute)) * 60 + Number(second)) * 1000;
  // Rounded to microseconds, so that the sum with a large number is exact.
  const localMs = (wholeMs * 1000 + Math.round(Number(`0.${fraction}`) * 1e6)) / 1000;
  const offsetMs = zone === undefined ? undefined : offsetOf(zone);
  return Number.isNaN(offsetMs) ? undefined : { localMs, offsetMs };
}

/** 12 AM is midnight, 12 PM is noon. */
function hourOfHalf(hour: number, isAfternoon: boolean): number | undefined {
  return hour < 1 || hour > 12 ? undefined : (hour % 12) + (isAfternoon ? 12 : 0);
}

/** @returns NaN if the offset does not exist. */
function offsetOf(zone: string): number {
  const match = /^([+-])(\d\d):?(\d\d)?$/.exec(zone);
  if (match === null) return 0;
  const [, sign, hours, minutes = '0'] = match;
  if (Number(hours) > 23 || Number(minutes) > 59) return Number.NaN;
  return (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1);
}

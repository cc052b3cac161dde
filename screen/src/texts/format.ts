import { locale } from './language.ts';

/**
 * Returns a number with four significant digits, from 1,000 on with all digits before the decimal point; '–' for none. Very small
 * and very large ones have an exponent.
 */
export function formatNumber(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  const size = Math.abs(value);
  const isExtreme = size >= 1e15 || (size > 0 && size < 1e-5);
  const digits = size >= 1000 && !isExtreme ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 4 };
  const notation = isExtreme ? 'scientific' : 'standard';
  return new Intl.NumberFormat(locale.value, { ...digits, useGrouping: false, notation }).format(value);
}

/** Returns how often something happens, with two decimals. */
export function formatFrequency(value: number): string {
  return new Intl.NumberFormat(locale.value, { maximumFractionDigits: 2 }).format(value);
}

/** Returns a share of 0 to 1 in whole percent. */
export function formatShare(share: number): string {
  return new Intl.NumberFormat(locale.value, { style: 'percent' }).format(Math.floor(share * 100) / 100);
}

/** Returns a share of 0 to 1 in percent with two significant digits, '–' for none. */
export function formatPercent(share: number | undefined): string {
  if (share === undefined) return '–';
  return new Intl.NumberFormat(locale.value, { style: 'percent', maximumSignificantDigits: 2 }).format(share);
}

/** Returns a short time in ms with two significant digits, '–' for none. */
export function formatMs(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '–';
  const options = { style: 'unit', unit: 'millisecond', maximumSignificantDigits: 2 } as const;
  return new Intl.NumberFormat(locale.value, options).format(ms);
}

/** Returns the time of day with seconds. */
export function formatTime(timeMs: number): string {
  return new Intl.DateTimeFormat(locale.value, { timeStyle: 'medium', hourCycle: 'h23' } as const).format(timeMs);
}

/** Returns date and time with seconds, in the time zone of the browser. */
export function formatDateTime(timeMs: number): string {
  const options = { dateStyle: 'short', timeStyle: 'medium', hourCycle: 'h23' } as const;
  return new Intl.DateTimeFormat(locale.value, options).format(timeMs);
}

/** Returns the date with its day of the week. */
export function formatDate(timeMs: number): string {
  const options = { weekday: 'short', day: 'numeric', month: 'short' } as const;
  return new Intl.DateTimeFormat(locale.value, options).format(timeMs);
}

/** Returns the time of day, with the date if it is not the day of `nowMs`. */
export function formatMoment(timeMs: number, nowMs: number): string {
  return new Date(timeMs).toDateString() === new Date(nowMs).toDateString()
    ? formatTime(timeMs)
    : formatDateTime(timeMs);
}

const steps = [
  { unit: 'day', ms: 86_400_000 },
  { unit: 'hour', ms: 3_600_000 },
  { unit: 'minute', ms: 60_000 },
  { unit: 'second', ms: 1000 },
] as const;

/** Returns a time span in its largest whole unit: '3 min'. */
export function formatSpan(spanMs: number): string {
  const ms = Math.max(0, spanMs);
  const { unit, ms: unitMs } = steps.find((step) => ms >= step.ms) ?? steps[3];
  return new Intl.NumberFormat(locale.value, { style: 'unit', unit, unitDisplay: 'narrow' }).format(
    Math.floor(ms / unitMs),
  );
}

const sizes = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;

/** Returns a size in decimal units: '2.1 GB'. */
export function formatBytes(bytes: number): string {
  const power = Math.min(sizes.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const options = { style: 'unit', unit: sizes[power] ?? 'byte', maximumSignificantDigits: 3 } as const;
  return new Intl.NumberFormat(locale.value, options).format(bytes / 1000 ** power);
}

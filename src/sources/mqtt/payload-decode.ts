import type { EpochMs } from '../../domain/epoch-ms.ts';
import { BAD, GOOD, type QualityCode, UNCERTAIN } from '../../domain/sample/quality.ts';

const wholeNumber = /^[+-]?\d+$/;
/** A whole number that may be beyond 2^53. */
const manyDigits = /(?<![\d.])\d{16,}(?![\d.eE])/;
const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
/** Longest text that is parsed as a number. */
const NUMBER_BYTES_MAX = 64;
/** 2000-01-01. A time before it is from a device with an unset clock, or in seconds. */
const EPOCH_MS_MIN = 946_684_800_000;
const iso = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:[Zz]|([+-])(\d\d):?(\d\d))$/;

/**
 * Decodes a payload that is a plain value: `12.5`, `-3e2`, `true`.
 * @returns Undefined if it is not a value; true and false are 1 and 0.
 */
export function decodePlainValue(payload: Buffer): number | undefined {
  if (payload.length === 0 || payload.length > NUMBER_BYTES_MAX) return undefined;
  return numberOfText(payload.toString('latin1'));
}

/** Converts a JSON value: a number, a boolean (1 or 0), or a text that is a number. */
export function decodeJsonValue(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'string' && value.length <= NUMBER_BYTES_MAX ? numberOfText(value) : undefined;
}

/**
 * Parses a JSON document. An integer that float64 cannot represent becomes a bigint of the nearest float64.
 * @returns Undefined if the payload is not JSON.
 */
export function decodeJson(payload: Buffer): { readonly document: unknown } | undefined {
  const text = payload.toString('utf8');
  try {
    // A reviver takes several times as long, and few payloads have so many digits.
    const document: unknown = manyDigits.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text);
    return { document };
  } catch {
    return undefined;
  }
}

/**
 * True if an integer beyond 2^53 changes when it is converted to float64.
 * @param text A decimal number.
 */
export function isRounded(text: string): boolean {
  const value = Number(text);
  if (!wholeNumber.test(text) || Number.isSafeInteger(value)) return false;
  return Number.isFinite(value) && String(value) !== text;
}

/** For `JSON.parse`. @param context `source` is the text of a number; the types of the library do not declare it. */
function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' && isRounded(context?.source ?? '') ? BigInt(value) : value;
}

/**
 * Decodes a time of a JSON document: epoch milliseconds, or ISO 8601 with a zone.
 *
 * @returns Undefined if it is not a time, or before the year 2000. A local time without a zone is ambiguous.
 */
export function decodeTime(value: unknown): EpochMs | undefined {
  const timeMs = typeof value === 'string' ? timeOfText(value) : typeof value === 'bigint' ? Number(value) : value;
  if (typeof timeMs !== 'number' || !Number.isFinite(timeMs)) return undefined;
  return timeMs >= EPOCH_MS_MIN ? timeMs : undefined;
}

/**
 * Decodes the quality that the sender gave its value: good, uncertain or bad, true or false, or an OPC quality.
 * @returns Good if there is none, uncertain if it is unknown.
 * @see OPC DA 3.0, section 6.8: the two top bits of the low byte; 11 is good, 01 uncertain, 00 bad.
 */
export function decodeQuality(value: unknown): QualityCode {
  if (value === undefined || value === null || value === true) return GOOD;
  if (value === false) return BAD;
  if (typeof value === 'number') return value >= 192 && value <= 255 ? GOOD : value >= 64 ? UNCERTAIN : BAD;
  if (typeof value !== 'string') return UNCERTAIN;
  const text = value.slice(0, NUMBER_BYTES_MAX).toLowerCase();
  return text === 'good' ? GOOD : text === 'bad' ? BAD : UNCERTAIN;
}

function numberOfText(text: string): number | undefined {
  const trimmed = text.trim();
  if (decimal.test(trimmed)) return Number(trimmed);
  if (trimmed === 'true') return 1;
  return trimmed === 'false' ? 0 : undefined;
}

function timeOfText(text: string): EpochMs | undefined {
  const match = iso.exec(text);
  if (match === null) return text.length <= NUMBER_BYTES_MAX && decimal.test(text) ? Number(text) : undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [number, ...number[]];
  return epochMs(match, year, [month ?? 0, day ?? 0, hour ?? 0, minute ?? 0, second ?? 0]);
}

function epochMs(match: RegExpExecArray, year: number, parts: readonly number[]): EpochMs | undefined {
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  const [fraction = '0', sign, zoneHours = '0', zoneMinutes = '0'] = match.slice(7);
  const midnightMs = Date.UTC(year, month - 1, day);
  // Date.UTC accepts 30 February as a day in March, so the result must have the same day.
  const date = new Date(midnightMs);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  if (hour > 23 || minute > 59 || second > 59 || Number(zoneHours) > 23 || Number(zoneMinutes) > 59) return undefined;
  const zoneMs = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000 * (sign === '-' ? -1 : 1);
  const timeOfDayMs = ((hour * 60 + minute) * 60 + second) * 1000 + Number(`0.${fraction}`) * 1000;
  return midnightMs + timeOfDayMs - zoneMs;
}

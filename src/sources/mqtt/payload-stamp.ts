import type { EpochMs } from '../../domain/epoch-ms.ts';
import { takenAt } from '../../domain/sample/quality-gate.ts';
import { BAD, GOOD, type QualityCode, type QualityReason, UNCERTAIN } from '../../domain/sample/quality.ts';
import { readQuality } from '../quality-code.ts';
import { SeveralValues, singleValue, type ValuePath } from './json-path.ts';
import { decodeTime } from './payload-time.ts';
import type { TagPlan } from './topic-plan.ts';

export type Arrival = {
  readonly timeMs: EpochMs;
  /** True for a retained message, which may be of any age. */
  readonly retain: boolean;
  /** Largest accepted lead of a payload time over `timeMs`. */
  readonly futureToleranceMs: number;
};

/** Characters of a payload that are copied into a fault text. */
const SHOWN_MAX = 40;

/** A payload, or an element of its list of samples. */
export type Item = {
  /** Undefined for an element. */
  readonly text: string | undefined;
  readonly document: unknown;
  /** Why the payload is not JSON; undefined if it is, or need not be. */
  readonly error: string | undefined;
};

/** Time and quality of a value. */
export type Stamp = {
  readonly timeMs: EpochMs;
  readonly quality: QualityCode;
  readonly reason: QualityReason;
  /** For the operator; undefined if the content has no fault. */
  readonly fault: string | undefined;
};

/** Returns the time of a value, with the quality that it gives. */
export function stampOf(
  { time, timeFormat }: Pick<TagPlan, 'time' | 'timeFormat'>,
  { document }: Item,
  { timeMs, retain, futureToleranceMs }: Arrival,
): Stamp {
  if (time === undefined)
    return retain
      ? { timeMs, quality: UNCERTAIN, reason: 'time-invalid', fault: undefined }
      : { timeMs, quality: GOOD, reason: 'none', fault: undefined };
  const sent = singleValue(time, document);
  const sentMs = decodeTime(sent, timeFormat, timeMs);
  if (sentMs === undefined) {
    const fault = `expected an epoch time or a time with a zone${at(time)} (for others set timeUnit or timeZone), found ${shown(sent)}`;
    return { timeMs, quality: UNCERTAIN, reason: 'time-invalid', fault };
  }
  const takenMs = takenAt(sentMs, timeMs, futureToleranceMs);
  if (takenMs !== undefined) return { timeMs: takenMs, quality: GOOD, reason: 'none', fault: undefined };
  const fault = `expected a time no further ahead than futureTolerance${at(time)}, found ${shown(sent)}`;
  return { timeMs, quality: UNCERTAIN, reason: 'time-in-future', fault };
}

/** Returns the quality with which the sender marks a value: good without a mark. */
export function markOf(tag: Pick<TagPlan, 'quality' | 'qualityCodes'>, { document }: Item): Omit<Stamp, 'timeMs'> {
  if (tag.quality === undefined) return { quality: GOOD, reason: 'none', fault: undefined };
  const mark = singleValue(tag.quality, document);
  const marked = readQuality(mark, tag.qualityCodes);
  if (marked === GOOD) return { quality: GOOD, reason: 'none', fault: undefined };
  const fault =
    marked === undefined
      ? `expected a quality${at(tag.quality)}, found ${shown(mark)}`
      : `the sender marks the value as ${marked === BAD ? 'bad' : 'uncertain'}${at(tag.quality)}: ${shown(mark)}`;
  return { quality: marked ?? UNCERTAIN, reason: 'marked-not-good', fault };
}

/** Returns the path for a message. */
export function at(path: ValuePath | undefined): string {
  return path === undefined ? '' : ` at ${path.text}`;
}

/** Returns a value of a payload for a message. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return JSON.stringify(value.slice(0, SHOWN_MAX));
  if (value instanceof SeveralValues) return `${value.count} values`;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  // The other JSON values: number, true, false and null.
  return `${value as number | bigint | boolean | null}`;
}

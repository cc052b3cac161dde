import type { EpochMs } from '../../domain/epoch-ms.ts';
import { takenAt } from '../../domain/sample/quality-gate.ts';
import { BAD, GOOD, type QualityCode, type QualityReason, UNCERTAIN } from '../../domain/sample/quality.ts';
import type { SampleBatch } from '../../domain/sample/sample-batch.ts';
import { readQuality } from '../quality-code.ts';
import { listAt, SeveralValues, singleValue, type ValuePath } from './json-path.ts';
import { decodeJson, decodeJsonValue, decodePlainValue, isRounded, payloadText } from './payload-decode.ts';
import { decodeTime } from './payload-time.ts';
import type { PartPlan, TagPlan, TopicPlan } from './topic-plan.ts';

export type Arrival = {
  readonly timeMs: EpochMs;
  /** True for a retained message, which may be of any age. */
  readonly retain: boolean;
  /** Largest accepted lead of a payload time over `timeMs`. */
  readonly futureToleranceMs: number;
};

/** The first fault of a message, for the operator. */
export type MessageFault = { readonly reason: QualityReason | 'samples-left-out'; readonly text: string };

/** Maximum number of samples read from a list; a payload of 1 MB can contain 500,000. */
const SAMPLES_PER_MESSAGE_MAX = 10_000;
/** Characters of a payload that are copied into a fault text. */
const SHOWN_MAX = 40;

/** A payload, or an element of its list of samples. */
type Item = {
  /** Undefined for an element. */
  readonly text: string | undefined;
  readonly document: unknown;
  /** Why the payload is not JSON; undefined if it is, or need not be. */
  readonly error: string | undefined;
};

/** A sample without its tag. */
type Reading = {
  readonly value: number;
  readonly timeMs: EpochMs;
  readonly quality: QualityCode;
  readonly reason: QualityReason;
  /** For the operator; undefined if the content has no fault. */
  readonly fault: string | undefined;
};

/**
 * Makes one batch with one sample for each tag of the message, also from an invalid payload. A list of samples makes
 * one batch for each element, in order. A tag with `missing: keep` has no sample if its value is missing.
 *
 * @param accept Receives the batch of the plan, which is reused for the next one.
 * @returns The first fault, or undefined. A retained message without a time is uncertain but not a fault, because each
 *   subscription brings it.
 */
export function decodeMessage(
  plan: TopicPlan,
  payload: Buffer,
  arrival: Arrival,
  accept: (batch: SampleBatch) => void,
): MessageFault | undefined {
  const text = payloadText(payload);
  const json = plan.json ? decodeJson(text) : { document: undefined };
  const whole: Item =
    'document' in json
      ? { text, document: json.document, error: undefined }
      : { text, document: undefined, error: isGzip(payload) ? 'it is compressed with gzip' : json.error };
  let fault: MessageFault | undefined;
  for (const part of plan.parts) {
    const found = part.samples === undefined ? decodeItem(part, whole) : decodeList(part, part.samples);
    fault ??= found;
  }
  return fault;

  function decodeList(part: PartPlan, path: ValuePath): MessageFault | undefined {
    const list = listAt(path, whole.document);
    // If the list is missing, its tags are bad, like the tags of a missing value.
    if (list === undefined) return decodeItem(part, { ...whole, text: undefined });
    const elements = list.length > SAMPLES_PER_MESSAGE_MAX ? list.slice(0, SAMPLES_PER_MESSAGE_MAX) : list;
    let first: MessageFault | undefined;
    for (const element of elements) {
      const found = decodeItem(part, { text: undefined, document: element, error: undefined });
      first ??= found;
    }
    if (elements.length === list.length) return first;
    const leftOut = `${list.length} samples in a message; ${SAMPLES_PER_MESSAGE_MAX} of them were read`;
    return { reason: 'samples-left-out', text: leftOut };
  }

  function decodeItem({ tags, batch, received }: PartPlan, item: Item): MessageFault | undefined {
    let first: MessageFault | undefined;
    batch.clear();
    for (const tag of tags) {
      const found = valueOf(tag, item);
      if (tag.missing === 'keep' && (found === undefined || found === null) && item.error === undefined) {
        // A path that never leads to a value is wrong.
        if (!received.has(tag.tag))
          first ??= { reason: 'payload-invalid', text: `${tag.name}: no message had a value${at(tag.value)} yet` };
        continue;
      }
      received.add(tag.tag);
      const reading = readTag(tag, found, item, arrival);
      batch.add(tag.tag, reading.value, reading.timeMs, reading.quality, reading.reason);
      if (reading.fault !== undefined) first ??= { reason: reading.reason, text: `${tag.name}: ${reading.fault}` };
    }
    if (batch.length > 0) accept(batch);
    return first;
  }
}

function valueOf({ value }: TagPlan, { text, document }: Item): unknown {
  return value === undefined ? text : singleValue(value, document);
}

/** @param found The value as it is in the payload. */
function readTag(tag: TagPlan, found: unknown, item: Item, arrival: Arrival): Reading {
  const raw = tag.value === undefined ? plainNumber(found, tag) : decodeJsonValue(found, tag.map);
  const value = raw === undefined ? Number.NaN : raw * tag.scale + tag.offset;
  const stamp = stampOf(tag, item, arrival);
  const reading = (quality: QualityCode, reason: QualityReason, fault: string): Reading => ({
    value,
    timeMs: stamp.timeMs,
    quality,
    reason,
    fault,
  });
  const mark = tag.quality === undefined ? undefined : singleValue(tag.quality, item.document);
  const marked = tag.quality === undefined ? GOOD : readQuality(mark, tag.qualityCodes);
  if (marked === BAD)
    return reading(BAD, 'marked-not-good', `the sender marks the value as bad${at(tag.quality)}: ${shown(mark)}`);
  if (raw === undefined) return reading(BAD, 'payload-invalid', invalidText(tag, found, item));
  if (!Number.isFinite(value))
    return reading(BAD, 'not-finite', `the value${at(tag.value)} is not finite, found ${shown(found)}`);
  if (isUnsafe(raw) && isRoundedValue(found))
    return reading(UNCERTAIN, 'precision-lost', `the integer${at(tag.value)} has more digits than a double can hold`);
  if (marked === undefined)
    return reading(UNCERTAIN, 'marked-not-good', `expected a quality${at(tag.quality)}, found ${shown(mark)}`);
  if (marked === UNCERTAIN)
    return reading(
      UNCERTAIN,
      'marked-not-good',
      `the sender marks the value as uncertain${at(tag.quality)}: ${shown(mark)}`,
    );
  return { ...stamp, value };
}

function plainNumber(text: unknown, { map }: TagPlan): number | undefined {
  return typeof text === 'string' ? decodePlainValue(text, map) : undefined;
}

/** Quick check that excludes most numbers before the payload is checked for rounding. */
function isUnsafe(raw: number): boolean {
  return Number.isInteger(raw) && !Number.isSafeInteger(raw);
}

function isRoundedValue(found: unknown): boolean {
  return typeof found === 'bigint' || (typeof found === 'string' && isRounded(found.trim()));
}

function stampOf(
  { time, timeFormat }: TagPlan,
  { document }: Item,
  { timeMs, retain, futureToleranceMs }: Arrival,
): Omit<Reading, 'value'> {
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

function invalidText(tag: TagPlan, found: unknown, { error }: Item): string {
  if (tag.value !== undefined && error !== undefined) return `the payload is not JSON: ${error}`;
  return `expected a number${at(tag.value)}, found ${shown(found)}${invalidHint(tag, found)}`;
}

/** Returns the key that may help. */
function invalidHint({ map, value }: TagPlan, found: unknown): string {
  if (found === undefined && value !== undefined) return '; for payloads that have only what changed set missing: keep';
  const isWord = typeof found === 'string' && /^(?!null$)[\p{L} _-]{1,20}$/u.test(found);
  return isWord && map === undefined ? '; map gives texts a number' : '';
}

function isGzip(payload: Buffer): boolean {
  return payload[0] === 0x1f && payload[1] === 0x8b;
}

function at(path: ValuePath | undefined): string {
  return path === undefined ? '' : ` at ${path.text}`;
}

/** A value of a payload for display. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return JSON.stringify(value.slice(0, SHOWN_MAX));
  if (value instanceof SeveralValues) return `${value.count} values`;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  // The other JSON values: number, true, false and null.
  return `${value as number | bigint | boolean | null}`;
}

import type { EpochMs } from '../../domain/epoch-ms.ts';
import { takenAt } from '../../domain/sample/quality-gate.ts';
import { BAD, GOOD, type QualityCode, type QualityReason, UNCERTAIN } from '../../domain/sample/quality.ts';
import type { SampleBatch } from '../../domain/sample/sample-batch.ts';
import { formatJsonPath, type JsonPath, valueAtPath } from './json-path.ts';
import {
  decodeJson,
  decodeJsonValue,
  decodePlainValue,
  decodeQuality,
  decodeTime,
  isRounded,
} from './payload-decode.ts';
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

type Stamp = { readonly timeMs: EpochMs; readonly quality: QualityCode; readonly reason: QualityReason };
/** A payload, or an element of its list of samples; `document` is undefined if the payload is not JSON. */
type Item = { readonly payload: Buffer | undefined; readonly document: unknown; readonly isJson: boolean };

/**
 * Makes one batch with one sample for each tag of the message, also from an invalid payload. A list of samples makes
 * one batch for each element, in order.
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
  const json = plan.json ? decodeJson(payload) : undefined;
  const whole: Item = { payload, document: json?.document, isJson: json !== undefined };
  let fault: MessageFault | undefined;
  for (const part of plan.parts) {
    const found = part.samples === undefined ? decodeItem(part, whole, arrival, accept) : decodeList(part, whole);
    fault ??= found;
  }
  return fault;

  function decodeList(part: PartPlan, { document }: Item): MessageFault | undefined {
    const list = part.samples === undefined ? undefined : valueAtPath(document, part.samples);
    // If the list is missing, its tags are bad, like the tags of a missing value.
    if (!Array.isArray(list)) return decodeItem(part, { ...whole, payload: undefined }, arrival, accept);
    let first: MessageFault | undefined;
    const elements: readonly unknown[] =
      list.length > SAMPLES_PER_MESSAGE_MAX ? list.slice(0, SAMPLES_PER_MESSAGE_MAX) : list;
    for (const element of elements) {
      const found = decodeItem(part, { payload: undefined, document: element, isJson: true }, arrival, accept);
      first ??= found;
    }
    if (elements.length === list.length) return first;
    const text = `${list.length} samples in a message; ${SAMPLES_PER_MESSAGE_MAX} of them were read`;
    return { reason: 'samples-left-out', text };
  }
}

function decodeItem(
  { tags, batch }: PartPlan,
  item: Item,
  arrival: Arrival,
  accept: (batch: SampleBatch) => void,
): MessageFault | undefined {
  let fault: MessageFault | undefined;
  batch.clear();
  for (const tag of tags) {
    const raw = rawValue(tag, item);
    const value = raw === undefined ? Number.NaN : raw * tag.scale + tag.offset;
    const stamp = stampOf(tag, item, arrival);
    const marked = tag.quality === undefined ? GOOD : decodeQuality(valueAtPath(item.document, tag.quality));
    if (marked === BAD) batch.add(tag.tag, value, stamp.timeMs, BAD, 'marked-not-good');
    else if (raw === undefined) batch.add(tag.tag, value, stamp.timeMs, BAD, 'payload-invalid');
    else if (!Number.isFinite(value)) batch.add(tag.tag, value, stamp.timeMs, BAD, 'not-finite');
    else if (isUnsafe(raw) && isRoundedValue(tag, item))
      batch.add(tag.tag, value, stamp.timeMs, UNCERTAIN, 'precision-lost');
    else if (marked === UNCERTAIN) batch.add(tag.tag, value, stamp.timeMs, UNCERTAIN, 'marked-not-good');
    else batch.add(tag.tag, value, stamp.timeMs, stamp.quality, stamp.reason);
    // A value that the sender marked bad is not a fault of the message.
    if (marked !== BAD) fault ??= faultOf(tag, item, value, raw, stamp);
  }
  accept(batch);
  return fault;
}

function rawValue({ value }: TagPlan, { payload, document }: Item): number | undefined {
  if (value !== undefined) return decodeJsonValue(valueAtPath(document, value));
  return payload === undefined ? undefined : decodePlainValue(payload);
}

/** Quick check that excludes most numbers before the payload is checked for rounding. */
function isUnsafe(raw: number): boolean {
  return Number.isInteger(raw) && !Number.isSafeInteger(raw);
}

function isRoundedValue({ value }: TagPlan, { payload, document }: Item): boolean {
  const found = value === undefined ? payload?.toString('latin1') : valueAtPath(document, value);
  return typeof found === 'bigint' || (typeof found === 'string' && isRounded(found.trim()));
}

function stampOf({ time }: TagPlan, { document }: Item, arrival: Arrival): Stamp {
  if (time === undefined)
    return arrival.retain
      ? { timeMs: arrival.timeMs, quality: UNCERTAIN, reason: 'time-invalid' }
      : { timeMs: arrival.timeMs, quality: GOOD, reason: 'none' };
  const timeMs = decodeTime(valueAtPath(document, time));
  if (timeMs === undefined) return { timeMs: arrival.timeMs, quality: UNCERTAIN, reason: 'time-invalid' };
  const takenMs = takenAt(timeMs, arrival.timeMs, arrival.futureToleranceMs);
  if (takenMs === undefined) return { timeMs: arrival.timeMs, quality: UNCERTAIN, reason: 'time-in-future' };
  return { timeMs: takenMs, quality: GOOD, reason: 'none' };
}

function faultOf(
  tag: TagPlan,
  { payload, document, isJson }: Item,
  value: number,
  raw: number | undefined,
  stamp: Stamp,
): MessageFault | undefined {
  if (raw === undefined) {
    const found =
      tag.value === undefined ? payload?.toString('latin1', 0, SHOWN_MAX) : valueAtPath(document, tag.value);
    const text =
      tag.value !== undefined && !isJson
        ? 'the payload is not JSON'
        : `expected a number${at(tag.value)}, found ${shown(found)}`;
    return { reason: 'payload-invalid', text: `${tag.name}: ${text}` };
  }
  if (!Number.isFinite(value)) return { reason: 'not-finite', text: `${tag.name}: the value is not finite` };
  if (stamp.quality === GOOD || tag.time === undefined) return undefined;
  const found = `found ${shown(valueAtPath(document, tag.time))}`;
  const text =
    stamp.reason === 'time-in-future'
      ? `expected a time no further ahead than futureTolerance${at(tag.time)}, ${found}`
      : `expected epoch milliseconds or ISO 8601 with a zone${at(tag.time)}, ${found}`;
  return { reason: stamp.reason, text: `${tag.name}: ${text}` };
}

function at(path: JsonPath | undefined): string {
  return path === undefined ? '' : ` at ${formatJsonPath(path)}`;
}

/** A value of a payload for display. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return JSON.stringify(value.slice(0, SHOWN_MAX));
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  // The other JSON values: number, true, false and null.
  return `${value as number | bigint | boolean | null}`;
}

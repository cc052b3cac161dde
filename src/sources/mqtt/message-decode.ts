import { BAD, type QualityCode, type QualityReason, UNCERTAIN } from '../../domain/sample/quality.ts';
import type { SampleBatch } from '../../domain/sample/sample-batch.ts';
import { listAt, singleValue, type ValuePath } from './json-path.ts';
import { decodeJson, decodeJsonValue, decodePlainValue, isRounded, payloadText } from './payload-decode.ts';
import { type Arrival, at, type Item, markOf, shown, type Stamp, stampOf } from './payload-stamp.ts';
import type { PartPlan, TagPlan, TopicPlan } from './topic-plan.ts';
import { decodeWaveform } from './waveform-decode.ts';

/** The first fault of a message, for the operator. */
export type MessageFault = { readonly reason: QualityReason | 'samples-left-out'; readonly text: string };

/** Maximum number of samples read from a list; a payload of 1 MB can contain 500,000. */
const SAMPLES_PER_MESSAGE_MAX = 10_000;
/** A sample without its tag. */
type Reading = Stamp & { readonly value: number };

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
  for (const waveform of plan.waveforms) {
    const found = decodeWaveform(waveform, whole, arrival);
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
  const mark = markOf(tag, item);
  if (mark.quality === BAD) return { ...mark, value, timeMs: stamp.timeMs };
  if (raw === undefined) return reading(BAD, 'payload-invalid', invalidText(tag, found, item));
  if (!Number.isFinite(value))
    return reading(BAD, 'not-finite', `the value${at(tag.value)} is not finite, found ${shown(found)}`);
  if (isUnsafe(raw) && isRoundedValue(found))
    return reading(UNCERTAIN, 'precision-lost', `the integer${at(tag.value)} has more digits than a double can hold`);
  if (mark.quality === UNCERTAIN) return { ...mark, value, timeMs: stamp.timeMs };
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

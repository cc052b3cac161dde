import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { QualityCode, QualityReason } from '../../domain/quality.ts';
import { BAD, GOOD, UNCERTAIN } from '../../domain/quality.ts';
import { valueAtPath } from './json-path.ts';
import { decodeJson, decodeJsonValue, decodePlainValue, decodeTime } from './payload-decode.ts';
import type { TagPlan, TopicPlan } from './topic-plan.ts';

export type Arrival = {
  readonly timeMs: EpochMs;
  /** The broker kept the message and sends it because we subscribed: it may be of any age. */
  readonly retain: boolean;
  /** How far ahead of `timeMs` a payload's time is believed. */
  readonly futureToleranceMs: number;
};

/** What an operator must know about a message that was not good; the first fault is enough. */
export type MessageFault = { readonly reason: QualityReason; readonly text: string };

type Stamp = { readonly timeMs: EpochMs; readonly quality: QualityCode; readonly reason: QualityReason };

/**
 * Fills the topic's batch with one sample for each of its tags, whatever the payload is.
 *
 * @returns The first fault, or undefined. A retained message without a time is uncertain but no fault: it comes
 *   with every subscription.
 */
export function decodeMessage(plan: TopicPlan, payload: Buffer, arrival: Arrival): MessageFault | undefined {
  const { batch } = plan;
  const json = plan.json ? decodeJson(payload) : undefined;
  let fault: MessageFault | undefined;
  batch.clear();
  for (const tag of plan.tags) {
    const raw = tag.value === undefined ? decodePlainValue(payload) : decodeAt(json, tag.value);
    const value = raw === undefined ? Number.NaN : raw * tag.scale + tag.offset;
    const stamp = stampOf(tag, json, arrival);
    if (raw === undefined) batch.add(tag.tag, value, stamp.timeMs, BAD, 'payload-invalid');
    else if (!Number.isFinite(value)) batch.add(tag.tag, value, stamp.timeMs, BAD, 'not-finite');
    else batch.add(tag.tag, value, stamp.timeMs, stamp.quality, stamp.reason);
    fault ??= faultOf(tag, json !== undefined, value, raw, stamp);
  }
  return fault;
}

function decodeAt(json: { readonly document: unknown } | undefined, path: TagPlan['value'] & {}): number | undefined {
  return json === undefined ? undefined : decodeJsonValue(valueAtPath(json.document, path));
}

function stampOf({ time }: TagPlan, json: { readonly document: unknown } | undefined, arrival: Arrival): Stamp {
  if (time === undefined)
    return arrival.retain
      ? { timeMs: arrival.timeMs, quality: UNCERTAIN, reason: 'time-invalid' }
      : { timeMs: arrival.timeMs, quality: GOOD, reason: 'none' };
  const timeMs = json === undefined ? undefined : decodeTime(valueAtPath(json.document, time));
  if (timeMs === undefined) return { timeMs: arrival.timeMs, quality: UNCERTAIN, reason: 'time-invalid' };
  if (timeMs > arrival.timeMs + arrival.futureToleranceMs)
    return { timeMs: arrival.timeMs, quality: UNCERTAIN, reason: 'time-in-future' };
  return { timeMs, quality: GOOD, reason: 'none' };
}

function faultOf(
  tag: TagPlan,
  isJson: boolean,
  value: number,
  raw: number | undefined,
  stamp: Stamp,
): MessageFault | undefined {
  const where = tag.value === undefined ? 'the payload is no number' : 'the value is no number';
  if (raw === undefined) {
    const text = tag.value !== undefined && !isJson ? 'the payload is no JSON' : where;
    return { reason: 'payload-invalid', text: `${tag.name}: ${text}` };
  }
  if (!Number.isFinite(value)) return { reason: 'not-finite', text: `${tag.name}: the value is not finite` };
  if (stamp.quality === GOOD || tag.time === undefined) return undefined;
  const text = stamp.reason === 'time-in-future' ? 'the time is in the future' : 'the time is none';
  return { reason: stamp.reason, text: `${tag.name}: ${text}` };
}

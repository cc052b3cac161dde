import { batch, computed, type Signal, signal } from '@preact/signals';
import type { AgentEvent, Alarm, Flood, Health, TagReading, Verdict, Watch, WatchSummary } from './api-types.ts';

/** Connection to the agent. Without a live one, nothing on the page is known to be true. */
export type Connection =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  | { readonly state: 'lost'; readonly reason: string };

export const connection = signal<Connection>({ state: 'connecting' });
export const isLive = computed(() => connection.value.state === 'live');
/** Time at which the agent sent something last, by the clock of this page. */
export const lastDataMs = signal<number | undefined>(undefined);

/** The agent's clock, in whole seconds, so that ages are right on a page whose own clock is wrong. */
export const nowMs = signal(Date.now());
let clockLeadMs = 0;

/** Uses the `Date` header of an answer, which has whole seconds. */
export function noteAgentTime(header: string | null): void {
  const agentMs = header === null ? Number.NaN : Date.parse(header) + 500;
  if (Number.isFinite(agentMs)) clockLeadMs = Math.abs(agentMs - Date.now()) < 1500 ? 0 : agentMs - Date.now();
  tick();
}

export function tick(): void {
  nowMs.value = Date.now() + clockLeadMs;
}

/** A watch and the time of this page at which its last verdict arrived, ms of `performance.now()`. */
export type WatchView = Watch & { readonly arrivedMs: number };

export const watches = signal<ReadonlyMap<string, Signal<WatchView>>>(new Map());
export const alarms = signal<ReadonlyMap<string, Alarm>>(new Map());
export const flood = signal<Flood>({ is_flood: false, raised: 0, by_cause: {} });
export const health = signal<Health | undefined>(undefined);
/** Present values of all tags, by tag. */
export const tags = signal<ReadonlyMap<string, TagReading>>(new Map());

/** Replaces everything with what the agent listed. */
export function load(listed: {
  readonly watches: readonly Watch[];
  readonly alarms: readonly Alarm[];
  readonly flood: Flood;
}): void {
  batch(() => {
    const arrivedMs = performance.now();
    watches.value = new Map(listed.watches.map((watch) => [watch.watch, signal({ ...watch, arrivedMs })]));
    alarms.value = new Map(listed.alarms.map((alarm) => [alarm.alarm, alarm]));
    flood.value = listed.flood;
    tags.value = new Map(listed.watches.flatMap((watch) => watch.tags).map((reading) => [reading.tag, reading]));
  });
}

/** Applies events in order. An event from before the last list has a lower number or an older time, and changes nothing. */
export function apply(events: readonly AgentEvent[]): void {
  batch(() => {
    for (const event of events) {
      if (event.type === 'verdict') takeVerdict(event.data);
      else if (event.type === 'watch') takeSummary(event.data);
      else if (event.type === 'alarm') takeAlarm(event.data);
      else takeTags(event.data);
    }
  });
}

/** Takes what no event reports: rollouts, drift, the progress of learning, and which watches there are. */
export function refreshWatches(listed: readonly Watch[]): void {
  batch(() => {
    const known = watches.value;
    if (listed.length !== known.size || listed.some(({ watch }) => !known.has(watch))) {
      const arrivedMs = performance.now();
      watches.value = new Map(
        listed.map((watch) => [watch.watch, known.get(watch.watch) ?? signal({ ...watch, arrivedMs })]),
      );
    }
    for (const { watch, rollout, drift, learning } of listed) {
      const view = watches.value.get(watch);
      if (view !== undefined) view.value = { ...view.value, rollout, drift, learning };
    }
  });
}

/** An alarm that is missing in a list may have been raised after the list was made. */
const RAISED_SINCE_MS = 20_000;

/** Takes present reasons of alarms, which no event reports, and removes alarms that are no longer defined. */
export function refreshAlarms(listed: readonly Alarm[]): void {
  const byId = new Map(listed.map((alarm) => [alarm.alarm, alarm]));
  for (const own of alarms.value.values()) {
    const { number } = byId.get(own.alarm) ?? { number: -1 };
    const isNewer = number === -1 ? nowMs.value - own.timestamp_ms < RAISED_SINCE_MS : own.number > number;
    if (isNewer) byId.set(own.alarm, own);
  }
  const isSame = ({ alarm, number, present }: Alarm): boolean => {
    const own = alarms.value.get(alarm);
    return own?.number === number && own.present === present;
  };
  if (byId.size !== alarms.value.size || ![...byId.values()].every(isSame)) alarms.value = byId;
}

/** Applies one change of an alarm, of an event or of the answer to an action. */
export function takeAlarm(alarm: Alarm): void {
  if (alarm.number < (alarms.value.get(alarm.alarm)?.number ?? 0)) return;
  alarms.value = new Map(alarms.value).set(alarm.alarm, alarm);
}

function takeVerdict(verdict: Verdict): void {
  const watch = watches.value.get(verdict.watch);
  if (watch === undefined || verdict.timestamp_ms < (watch.value.last_verdict?.timestamp_ms ?? 0)) return;
  watch.value = {
    ...watch.value,
    ...stateAfter(watch.value, verdict),
    last_verdict: verdict,
    arrivedMs: performance.now(),
  };
}

/** The state after a verdict. Only the agent decides when a watch is blind or learning. */
function stateAfter({ state, judged_ms, ...before }: Watch, verdict: Verdict): Partial<Watch> {
  if (verdict.verdict !== 'unknown')
    return { state: verdict.verdict, ...reasonOf(verdict), judged_ms: verdict.timestamp_ms };
  if (state === 'learning' || state === 'blind') return { state, ...reasonOf(before), judged_ms };
  return { state: 'unknown', ...reasonOf(verdict) };
}

/** A reason with its code; without the code, that of an earlier reason would stay. */
function reasonOf({ reason, reason_code, reason_parameters }: Partial<Verdict>) {
  return { reason: reason ?? '', reason_code, reason_parameters };
}

function takeSummary(summary: WatchSummary): void {
  const watch = watches.value.get(summary.watch);
  if (watch === undefined) return;
  const judgedMs = Math.max(summary.judged_ms ?? 0, watch.value.judged_ms ?? 0);
  watch.value = { ...watch.value, ...summary, ...reasonOf(summary), judged_ms: judgedMs === 0 ? null : judgedMs };
}

function takeTags(readings: readonly TagReading[]): void {
  const next = new Map(tags.value);
  for (const reading of readings)
    if (reading.timestamp_ms >= (next.get(reading.tag)?.timestamp_ms ?? 0)) next.set(reading.tag, reading);
  tags.value = next;
}

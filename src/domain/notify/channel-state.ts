import type { AlarmPriority, AlarmState } from '../alarm/alarm.ts';
import { type AlarmSelection, isSelected } from '../alarm/alarm-selection.ts';
import type { EpochMs } from '../epoch-ms.ts';

/*
 * Which messages a channel sends, as pure functions. The state is stored after each change, so that a restart neither
 * repeats a message nor forgets one. Times are wall time: they survive a restart.
 */

/** Change of an alarm, from its record. */
export type AlarmChange = {
  readonly alarm: string;
  readonly watch: string;
  readonly priority: AlarmPriority;
  readonly state: AlarmState;
  readonly message: string;
  readonly timestampMs: EpochMs;
  readonly number: number;
};

export type ChannelRules = {
  readonly selection: AlarmSelection;
  /** True if the return of an announced alarm is also a message. */
  readonly returns: boolean;
  /** Time for which an alarm must not be acknowledged before it is sent. */
  readonly escalateAfterMs: number;
  /** Wait for further alarms before a message. */
  readonly groupWaitMs: number;
  /** Most alarms that a message lists. */
  readonly groupMax: number;
  /** Shortest time between two delivered messages about one alarm. */
  readonly cooldownMs: number;
  /** A message that could not be sent for longer becomes part of one summary. */
  readonly maxAgeMs: number;
};

/** An alarm that is to be sent. */
export type Notice = {
  readonly alarm: string;
  readonly watch: string;
  readonly priority: AlarmPriority;
  readonly message: string;
  readonly kind: 'raised' | 'returned';
  /** First time it was raised since the last message; of a return, its time. */
  readonly sinceMs: EpochMs;
  /** Number of times it was raised since the last message. */
  readonly times: number;
  /** True if the plant is normal again, and no one has acknowledged it. */
  readonly isOver: boolean;
  readonly number: number;
};

export type ChannelState = {
  /** Changes before this time were before the channel existed. */
  readonly startMs: EpochMs;
  readonly waiting: Readonly<Record<string, Notice>>;
  /** Number of the last change of each alarm, by which a repeated record is found. */
  readonly seen: Readonly<Record<string, number>>;
  /** Time of the last delivered message about each alarm. */
  readonly sentMs: Readonly<Record<string, EpochMs>>;
  /** Alarms that were announced and whose return was not. */
  readonly announced: readonly string[];
};

/** A message that is due. */
export type DueMessage = {
  /** 'summary': the alarms could not be sent in time. */
  readonly kind: 'raised' | 'returned' | 'summary';
  /** Alarms of the message, the most important first. */
  readonly notices: readonly Notice[];
  /** Alarms that it only counts. */
  readonly others: readonly Notice[];
};

const priorities: readonly AlarmPriority[] = ['critical', 'high', 'medium', 'low'];

export function newChannel(nowMs: EpochMs): ChannelState {
  return { startMs: nowMs, waiting: {}, seen: {}, sentMs: {}, announced: [] };
}

/** Applies a change of an alarm. The same change again has no effect. */
export function changed(state: ChannelState, rules: ChannelRules, change: AlarmChange): ChannelState {
  const { alarm, number } = change;
  if (!isSelected(rules.selection, change) || number <= (state.seen[alarm] ?? -Infinity)) return state;
  const next = { ...state, seen: { ...state.seen, [alarm]: number } };
  if (change.timestampMs < state.startMs) return next;
  const waiting = next.waiting[alarm];
  switch (change.state) {
    case 'unacknowledged':
      return withNotice(next, raised(waiting?.kind === 'raised' ? waiting : undefined, change));
    case 'returned-unacknowledged':
      if (waiting?.kind === 'raised') return withNotice(next, { ...waiting, isOver: true, number });
      return returned(next, rules, change);
    case 'normal':
      return returned(without(next, alarm), rules, change);
    case 'acknowledged':
    case 'shelved':
    case 'suppressed-by-design':
    case 'out-of-service':
      return without(next, alarm);
  }
}

/**
 * Returns the message that is due, or the time of the next one; Infinity if none waits.
 *
 * @param openSinceMs Begin of the present shift; undefined outside of shifts.
 */
export function nextMessage(
  state: ChannelState,
  rules: ChannelRules,
  openSinceMs: EpochMs | undefined,
  nowMs: EpochMs,
): DueMessage | { readonly dueMs: EpochMs } {
  if (openSinceMs === undefined) return { dueMs: Infinity };
  const due = Object.values(state.waiting).map((notice) => ({
    notice,
    dueMs: Math.max(openSinceMs, dueTimeMs(notice, state, rules)),
  }));
  const ready = due.filter(({ dueMs }) => dueMs <= nowMs);
  const old = ready.filter(({ dueMs }) => nowMs - dueMs > rules.maxAgeMs);
  if (old.length > 0) return message('summary', old, rules);
  for (const kind of ['raised', 'returned'] as const) {
    const ofKind = ready.filter(({ notice }) => notice.kind === kind);
    if (ofKind.length > 0) return message(kind, ofKind, rules);
  }
  return { dueMs: Math.min(Infinity, ...due.map(({ dueMs }) => dueMs)) };
}

/** Applies a message that was delivered. An alarm that changed meanwhile keeps waiting. */
export function delivered(state: ChannelState, { notices, others }: DueMessage, nowMs: EpochMs): ChannelState {
  const sent = [...notices, ...others];
  const raisedAlarms = sent.filter(({ kind }) => kind === 'raised').map(({ alarm }) => alarm);
  const returnedAlarms = new Set(sent.filter(({ kind }) => kind === 'returned').map(({ alarm }) => alarm));
  return {
    ...dropped(state, sent),
    sentMs: { ...state.sentMs, ...Object.fromEntries(raisedAlarms.map((alarm) => [alarm, nowMs])) },
    announced: [...new Set([...state.announced, ...raisedAlarms])].filter((alarm) => !returnedAlarms.has(alarm)),
  };
}

/** Drops alarms that the receiver refuses for good. */
export function dropped(state: ChannelState, notices: readonly Notice[]): ChannelState {
  const numbers = new Map(notices.map(({ alarm, number }) => [alarm, number]));
  const waiting = Object.entries(state.waiting).filter(([alarm, { number }]) => numbers.get(alarm) !== number);
  return { ...state, waiting: Object.fromEntries(waiting) };
}

function dueTimeMs({ kind, alarm, sinceMs }: Notice, state: ChannelState, rules: ChannelRules): EpochMs {
  if (kind === 'returned') return sinceMs + rules.groupWaitMs;
  const sentMs = state.sentMs[alarm] ?? -Infinity;
  return Math.max(sinceMs + Math.max(rules.groupWaitMs, rules.escalateAfterMs), sentMs + rules.cooldownMs);
}

function message(
  kind: DueMessage['kind'],
  due: readonly { readonly notice: Notice }[],
  { groupMax }: ChannelRules,
): DueMessage {
  const rank = ({ priority }: Notice) => priorities.indexOf(priority);
  const sorted = due.map(({ notice }) => notice).toSorted((a, b) => rank(a) - rank(b) || a.sinceMs - b.sinceMs);
  return { kind, notices: sorted.slice(0, groupMax), others: sorted.slice(groupMax) };
}

function raised(before: Notice | undefined, change: AlarmChange): Notice {
  const { alarm, watch, priority, message: text, number } = change;
  return {
    alarm,
    watch,
    priority,
    message: text,
    kind: 'raised',
    sinceMs: before?.sinceMs ?? change.timestampMs,
    times: (before?.times ?? 0) + 1,
    isOver: false,
    number,
  };
}

/** Announces the return of an alarm, once. */
function returned(state: ChannelState, rules: ChannelRules, change: AlarmChange): ChannelState {
  const { alarm, watch, priority, number, timestampMs } = change;
  const announced = state.announced.filter((each) => each !== alarm);
  if (!rules.returns || announced.length === state.announced.length) return { ...state, announced };
  const text = `${alarm} is normal again.`;
  const notice = { alarm, watch, priority, message: text, kind: 'returned', times: 1, isOver: true, number } as const;
  return { ...withNotice(state, { ...notice, sinceMs: timestampMs }), announced };
}

function withNotice(state: ChannelState, notice: Notice): ChannelState {
  return { ...state, waiting: { ...state.waiting, [notice.alarm]: notice } };
}

function without(state: ChannelState, alarm: string): ChannelState {
  if (state.waiting[alarm] === undefined) return state;
  const { [alarm]: _settled, ...waiting } = state.waiting;
  return { ...state, waiting };
}

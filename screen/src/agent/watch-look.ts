import type { Alarm } from './api-types.ts';
import type { WatchView } from './agent-state.ts';

/** Looks of a lamp. Only `normal` is green. `stale`: the verdict is older than two hops. `away`: no connection. */
export type Look = 'normal' | 'abnormal' | 'uncertain' | 'unknown' | 'blind' | 'learning' | 'stale' | 'away';

/** A verdict may arrive this much later than two hops: window, model and commit take time. The agent itself decides after 3 s. */
const LATE_MS = 2500;

/**
 * Returns the look of a watch.
 *
 * @param monotonicMs `performance.now()`. The page checks the age with its own clock, in case the agent sends nothing but
 *   signs of life.
 */
export function lookOf(watch: WatchView, isLive: boolean, monotonicMs: number): Look {
  if (!isLive) return 'away';
  const isJudged = watch.state === 'normal' || watch.state === 'abnormal' || watch.state === 'uncertain';
  return isJudged && isStale(watch, monotonicMs) ? 'stale' : watch.state;
}

function isStale({ hop_ms, arrivedMs }: WatchView, monotonicMs: number): boolean {
  // With 'scan' a window follows each scan; the agent knows how often that is, the page does not.
  return hop_ms !== 'scan' && monotonicMs - arrivedMs > 2 * hop_ms + LATE_MS;
}

const priorities = { low: 1, medium: 2, high: 3, critical: 4 } as const;

export function isOpen(alarm: Alarm | undefined): alarm is Alarm {
  return (
    alarm !== undefined &&
    (alarm.state === 'unacknowledged' || alarm.state === 'acknowledged' || alarm.state === 'returned-unacknowledged')
  );
}

/** Returns true if the alarm waits for an operator. */
export function isUnacknowledged(alarm: Alarm): boolean {
  return alarm.state === 'unacknowledged' || alarm.state === 'returned-unacknowledged';
}

/** Returns true if the alarm is shelved, suppressed by design or out of service. */
export function isSuppressed({ state }: Alarm): boolean {
  return state === 'shelved' || state === 'suppressed-by-design' || state === 'out-of-service';
}

/** Returns the rank of a priority; higher is more urgent. */
export function priorityRank(priority: Alarm['priority']): number {
  return priorities[priority];
}

const looks: Readonly<Record<Look, number>> = {
  abnormal: 6,
  blind: 5,
  unknown: 4,
  stale: 4,
  away: 4,
  uncertain: 3,
  learning: 2,
  normal: 1,
};

/** Returns how urgent a watch is; higher is more urgent. Unacknowledged alarms come first, by priority. */
export function urgency(look: Look, alarm: Alarm | undefined): number {
  const rank = isOpen(alarm) ? priorityRank(alarm.priority) : 0;
  if (alarm?.state === 'unacknowledged') return 100 + rank;
  if (alarm?.state === 'returned-unacknowledged') return 50 + rank;
  if (alarm?.state === 'acknowledged') return 20 + rank;
  return looks[look];
}

import type { JournalEntry } from '../agent/api-types.ts';
import { alarmOf } from './journal.ts';

const MINUTE_MS = 60_000;
/** EEMUA 191 counts the load of an operator in spans of ten minutes; more than ten alarms in one are a flood. */
const SPAN_MS = 10 * MINUTE_MS;
const FLOOD_MIN = 11;
/** An alarm that is raised this often in a minute chatters. */
const CHATTER_MIN = 3;
const TOP = 10;

export type AlarmStatistics = {
  readonly raised: number;
  /** Alarms in ten minutes, over the whole range. EEMUA 191: up to 1 is acceptable. */
  readonly meanPerSpan: number;
  readonly mostPerSpan: number;
  /** Share of the time in floods, 0 to 1. */
  readonly floodShare: number;
  readonly perDay: readonly { readonly dayMs: number; readonly raised: number }[];
  readonly byPriority: Readonly<Record<string, number>>;
  /** Most frequent alarms, with their share of all. */
  readonly top: readonly { readonly alarm: string; readonly raised: number; readonly share: number }[];
  readonly chattering: readonly { readonly alarm: string; readonly mostPerMinute: number }[];
};

const raising: ReadonlySet<string> = new Set([
  'score-above-threshold',
  'score-below-threshold',
  'value-above-limit',
  'value-below-limit',
  'rate-above-limit',
  'component-in-trouble',
]);

/** Returns the figures that EEMUA 191 asks for, from the changes of alarms in a time range. */
export function alarmStatistics(
  changes: readonly JournalEntry[],
  range: { readonly fromMs: number; readonly toMs: number },
): AlarmStatistics {
  const raised = changes
    .filter(({ change, state }) => state === 'unacknowledged' && raising.has(change ?? ''))
    .toSorted((a, b) => a.timestamp_ms - b.timestamp_ms);
  const spans = Map.groupBy(raised, ({ timestamp_ms }) => Math.floor(timestamp_ms / SPAN_MS));
  const perSpan = [...spans.values()].map(({ length }) => length);
  const spanCount = Math.max(1, (range.toMs - range.fromMs) / SPAN_MS);
  const byAlarm = [...Map.groupBy(raised, alarmOf)];
  return {
    raised: raised.length,
    meanPerSpan: raised.length / spanCount,
    mostPerSpan: Math.max(0, ...perSpan),
    floodShare: Math.min(1, perSpan.filter((count) => count >= FLOOD_MIN).length / spanCount),
    perDay: daysOf(range).map((dayMs, index, days) => {
      const endMs = days[index + 1] ?? Infinity;
      return { dayMs, raised: raised.filter(({ timestamp_ms: at }) => at >= dayMs && at < endMs).length };
    }),
    byPriority: Object.fromEntries(
      [...Map.groupBy(raised, ({ priority }) => priority ?? '')].map(([priority, { length }]) => [priority, length]),
    ),
    top: byAlarm
      .map(([alarm, own]) => ({ alarm, raised: own.length, share: own.length / raised.length }))
      .sort((a, b) => b.raised - a.raised || a.alarm.localeCompare(b.alarm))
      .slice(0, TOP),
    chattering: byAlarm
      .map(([alarm, own]) => ({ alarm, mostPerMinute: mostPerMinute(own) }))
      .filter((each) => each.mostPerMinute >= CHATTER_MIN)
      .sort((a, b) => b.mostPerMinute - a.mostPerMinute),
  };
}

/** Begins of the local days of a range. */
function daysOf({ fromMs, toMs }: { readonly fromMs: number; readonly toMs: number }): readonly number[] {
  const days: number[] = [];
  for (const day = new Date(fromMs); day.getTime() < toMs; day.setDate(day.getDate() + 1)) {
    day.setHours(0, 0, 0, 0);
    days.push(day.getTime());
  }
  return days;
}

/** @param changes Oldest first. */
function mostPerMinute(changes: readonly JournalEntry[]): number {
  let first = 0;
  return changes.reduce((most, { timestamp_ms }, index) => {
    while (timestamp_ms - (changes[first]?.timestamp_ms ?? timestamp_ms) >= MINUTE_MS) first += 1;
    return Math.max(most, index - first + 1);
  }, 0);
}

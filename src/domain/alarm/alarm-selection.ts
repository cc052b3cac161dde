import type { AlarmPriority, AlarmState, AlarmTransition } from './alarm.ts';

/** Choice of alarms. Empty lists choose all. */
export type AlarmSelection = {
  /** Watches whose alarms are chosen. */
  readonly watches: readonly string[];
  /** Ids of further alarms. `*` at the end stands for any text. */
  readonly alarms: readonly string[];
  readonly priority: readonly AlarmPriority[];
};

/** Returns true if a selection has an alarm, in any state. */
export function isSelected(
  { watches, alarms, priority }: AlarmSelection,
  alarm: Pick<AlarmTransition, 'alarm' | 'watch' | 'priority'>,
): boolean {
  if (priority.length > 0 && !priority.includes(alarm.priority)) return false;
  if (watches.length + alarms.length === 0) return true;
  return (alarm.watch !== undefined && watches.includes(alarm.watch)) || alarms.some((id) => isNamed(id, alarm.alarm));
}

/** Returns the first alarm that a selection has in one of the states. */
export function firstSelected(
  selection: AlarmSelection,
  states: readonly AlarmState[],
  alarms: readonly AlarmTransition[],
): AlarmTransition | undefined {
  return alarms.find((alarm) => states.includes(alarm.state) && isSelected(selection, alarm));
}

function isNamed(pattern: string, id: string): boolean {
  return pattern.endsWith('*') ? id.startsWith(pattern.slice(0, -1)) : id === pattern;
}

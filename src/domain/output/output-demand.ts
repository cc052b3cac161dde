import type { AlarmState, AlarmTransition } from '../alarm/alarm.ts';
import { type AlarmSelection, firstSelected } from '../alarm/alarm-selection.ts';

/** Condition of an output. */
export type OutputCondition =
  /** On while a chosen alarm is in one of the states. Without watches and alarms, every watch must judge. */
  | { readonly type: 'alarms'; readonly selection: AlarmSelection; readonly states: readonly AlarmState[] }
  /** On while each of the watches judges. */
  | { readonly type: 'monitoring'; readonly watches: readonly string[] }
  /** Counts while andon stores records. */
  | { readonly type: 'heartbeat' };

/** Present state of alarms, watches and storage. */
export type OutputFacts = {
  /** Last transition of each alarm; undefined before the stored alarms were read. */
  readonly alarms: readonly AlarmTransition[] | undefined;
  /** Every watch; the reason if it has no present verdict, undefined if it judges. */
  readonly watches: ReadonlyMap<string, string | undefined>;
  /** Tags with limits and without a good value. */
  readonly blindTags: ReadonlySet<string>;
  /** Why records cannot be stored; undefined if they can. */
  readonly storageFault: string | undefined;
};

/** State that an output must show, with the reason. 'safe': andon cannot tell whether it is to be on. */
export type OutputDemand = { readonly show: 'on' | 'off' | 'safe'; readonly reason: string };

/** Returns what an output must show. What andon cannot tell is 'safe', also while an alarm is active. */
export function demandOf(condition: OutputCondition, facts: OutputFacts): OutputDemand {
  if (facts.storageFault !== undefined) return safe(`records cannot be stored: ${facts.storageFault}`);
  switch (condition.type) {
    case 'heartbeat':
      return { show: 'on', reason: 'andon runs and stores records' };
    case 'monitoring': {
      const blind = blindWatch(condition.watches, facts);
      return blind === undefined ? { show: 'on', reason: 'every watch judges' } : { show: 'off', reason: blind };
    }
    case 'alarms':
      return alarmDemand(condition, facts);
  }
}

function alarmDemand(
  { selection, states }: OutputCondition & { readonly type: 'alarms' },
  facts: OutputFacts,
): OutputDemand {
  if (facts.alarms === undefined) return safe('the stored alarms are not read yet');
  const blind = blindWatch(neededWatches(selection, facts), facts) ?? blindTag(selection, facts);
  if (blind !== undefined) return safe(blind);
  const found = firstSelected(selection, states, facts.alarms);
  return found === undefined
    ? { show: 'off', reason: 'no alarm' }
    : { show: 'on', reason: `${found.alarm} is ${found.state}` };
}

/** Returns the watches that must judge before the absence of an alarm means anything. */
function neededWatches({ watches, alarms }: AlarmSelection, facts: OutputFacts): readonly string[] {
  if (watches.length + alarms.length === 0) return [...facts.watches.keys()];
  const named = [...facts.watches.keys()].filter((watch) => alarms.some((id) => covers(id, `watch/${watch}`)));
  return [...watches, ...named];
}

function blindWatch(watches: readonly string[], facts: OutputFacts): string | undefined {
  for (const watch of watches) {
    if (!facts.watches.has(watch)) return `there is no watch ${watch}`;
    const reason = facts.watches.get(watch);
    if (reason !== undefined) return `${watch} has no present verdict: ${reason}`;
  }
  return undefined;
}

function blindTag({ watches, alarms }: AlarmSelection, { blindTags }: OutputFacts): string | undefined {
  const isEvery = watches.length + alarms.length === 0;
  const blind = [...blindTags].find((tag) => isEvery || alarms.some((id) => covers(id, `limit/${tag}/`)));
  return blind === undefined ? undefined : `${blind} has no good value, so its limits are not watched`;
}

/** Returns true if an id, or all ids that it stands for, may begin with a text. */
function covers(id: string, start: string): boolean {
  return id.endsWith('*') ? start.startsWith(id.slice(0, -1)) || id.startsWith(start) : id.startsWith(start);
}

function safe(reason: string): OutputDemand {
  return { show: 'safe', reason };
}

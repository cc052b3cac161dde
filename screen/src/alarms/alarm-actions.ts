import { signal } from '@preact/signals';
import { sendJson } from '../agent/agent-api.ts';
import { alarms, takeAlarm } from '../agent/agent-state.ts';
import type { Alarm } from '../agent/api-types.ts';
import { isUnacknowledged } from '../agent/watch-look.ts';
import { messageOf } from '../agent/message-of.ts';

/** Times for which an alarm can be shelved, as the API takes them. */
export const shelvings = ['15m', '30m', '1h', '2h', '4h', '8h', '24h'] as const;

export type AlarmAction = 'acknowledge' | 'shelve' | 'unshelve';

/** Ids of the selected alarms. */
export const selected = signal<ReadonlySet<string>>(new Set());
/** What the agent refused last; undefined for nothing. */
export const problem = signal<string | undefined>(undefined);
/** True while actions are sent. */
export const isActing = signal(false);

/** Selects or deselects an alarm. */
export function toggle(id: string): void {
  const next = new Set(selected.value);
  if (!next.delete(id)) next.add(id);
  selected.value = next;
}

/** Returns true if the action can be applied to the alarm in its present state. */
function isPossible(action: AlarmAction, alarm: Alarm): boolean {
  switch (action) {
    case 'acknowledge':
      return isUnacknowledged(alarm);
    case 'shelve':
      return alarm.state !== 'out-of-service' && alarm.state !== 'suppressed-by-design';
    case 'unshelve':
      return alarm.state === 'shelved';
  }
}

/** Returns the ids to which the action can be applied. */
export function possible(action: AlarmAction, ids: Iterable<string>): readonly string[] {
  return [...ids].filter((id) => {
    const alarm = alarms.value.get(id);
    return alarm !== undefined && isPossible(action, alarm);
  });
}

/**
 * Applies an action to alarms, one after the other. Accepted ones are deselected; `problem` has the reason for
 * the others.
 *
 * @param body Fields of the request, such as `comment` and `duration`.
 */
export async function act(action: AlarmAction, ids: readonly string[], body: object): Promise<void> {
  isActing.value = true;
  problem.value = undefined;
  try {
    for (const id of ids) await actOn(action, id, body);
  } finally {
    isActing.value = false;
  }
}

async function actOn(action: AlarmAction, id: string, body: object): Promise<void> {
  const path = id.split('/').map(encodeURIComponent).join('/');
  try {
    takeAlarm(await sendJson<Alarm>(`/api/v1/alarms/${path}/${action}`, body));
    const next = new Set(selected.value);
    next.delete(id);
    selected.value = next;
  } catch (error) {
    problem.value = `${id}: ${messageOf(error)}`;
  }
}

import type { AlarmPriority } from '../alarm/alarm.ts';
import type { DueMessage, Notice } from './channel-state.ts';

/** A message for people, the same for every kind of channel. */
export type NotifyMessage = {
  readonly kind: DueMessage['kind'] | 'test';
  readonly agent: string;
  /** Short line, such as the subject of an email. */
  readonly title: string;
  /** Lines of text, one for each alarm. */
  readonly text: string;
  /** Highest priority of the alarms. */
  readonly priority: AlarmPriority;
  /** URL of the alarm page, with the alarm if it is about one; undefined if it is not configured. */
  readonly link: string | undefined;
  readonly alarms: readonly Notice[];
  /** Number of further alarms. */
  readonly more: number;
};

type Sender = { readonly agent: string; readonly link: string | undefined };

/** Returns the message about alarms that are due. */
export function messageOf({ kind, notices, others }: DueMessage, { agent, link }: Sender): NotifyMessage {
  const [first] = notices;
  const count = notices.length + others.length;
  const subject = count === 1 && first !== undefined ? first.alarm : `${count} alarms`;
  const title = {
    raised: `${(first?.priority ?? 'low').toUpperCase()}: ${subject} on ${agent}`,
    returned: `Normal again: ${subject} on ${agent}`,
    summary: `Not sent in time: ${subject} on ${agent}`,
  }[kind];
  const lines = notices.map((notice) => lineOf(notice, kind));
  const rest = others.length === 0 ? [] : [`… and ${others.length} more: see the alarm page.`];
  return {
    kind,
    agent,
    title,
    text: [...lines, ...rest].join('\n'),
    priority: first?.priority ?? 'low',
    link: link !== undefined && count === 1 && first !== undefined ? linkTo(link, first.alarm) : link,
    alarms: notices,
    more: others.length,
  };
}

/** Returns the message of `andon notify test`. */
export function testMessage({ agent, link }: Sender): NotifyMessage {
  const text = 'This is a test. No alarm was raised.';
  return { kind: 'test', agent, title: `Test of andon on ${agent}`, text, priority: 'low', link, alarms: [], more: 0 };
}

/** Returns the URL with which the alarm page opens with this alarm selected. */
function linkTo(page: string, alarm: string): string {
  return `${page}?alarm=${encodeURIComponent(alarm)}`;
}

function lineOf({ priority, message, times, isOver, kind, sinceMs }: Notice, ofMessage: DueMessage['kind']): string {
  if (kind === 'returned') return message;
  const time = ofMessage === 'summary' ? `${new Date(sinceMs).toISOString()} ` : '';
  const often = times > 1 ? ` (raised ${times} times)` : '';
  const over = isOver ? ' It is over, and not acknowledged.' : '';
  return `${time}${priority.toUpperCase()}: ${message}${often}${over}`;
}

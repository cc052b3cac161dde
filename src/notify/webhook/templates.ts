import type { AlarmPriority } from '../../domain/alarm/alarm.ts';
import type { Notice } from '../../domain/notify/channel-state.ts';
import type { NotifyMessage } from '../../domain/notify/notify-message.ts';
import { snakeJson } from '../../domain/record/snake-json.ts';
import type { templateNames } from './webhook-config.ts';

export type WebhookRequest = {
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
};

type Parameters = Readonly<Record<string, string>>;
type Template = (message: NotifyMessage, parameters: Parameters) => readonly WebhookRequest[];

const JSON_TYPE = 'application/json';
const LINK_TEXT = 'Open the alarm page';
/** Longest text of a Telegram message. */
const TELEGRAM_TEXT_MAX = 4096;
/** Longest summary of a PagerDuty event. */
const PAGERDUTY_SUMMARY_MAX = 1024;

/** Requests of a message, by the service that receives them. */
export const templates: Readonly<Record<(typeof templateNames)[number], Template>> = {
  json: (message) => [json(snakeJson(message))],
  text: (message) => [{ contentType: 'text/plain; charset=utf-8', body: plainText(message) }],
  slack: ({ title, text, link }) => {
    const open = link === undefined ? '' : `\n<${link}|${LINK_TEXT}>`;
    return [json({ text: `*${slackText(title)}*\n${slackText(text)}${open}` })];
  },
  teams: (message) => [json(teamsCard(message))],
  ntfy: ({ title, text, priority, link }) => [
    {
      contentType: 'text/plain; charset=utf-8',
      body: text,
      headers: {
        title: encodedHeader(title),
        priority: { critical: '5', high: '4', medium: '3', low: '2' }[priority],
        ...(link === undefined ? {} : { click: link }),
      },
    },
  ],
  telegram: (message, { chat_id = '' }) => [
    json({ chat_id, text: plainText(message).slice(0, TELEGRAM_TEXT_MAX), disable_web_page_preview: true }),
  ],
  pagerduty: pagerdutyEvents,
};

/** Returns the request with a body of the user's own. */
export function ownRequest(
  body: string,
  contentType: string,
  message: NotifyMessage,
  parameters: Parameters,
): WebhookRequest {
  const { title, text, priority, agent, link = '', kind } = message;
  const values: Readonly<Record<string, string>> = { title, text, priority, agent, link, kind };
  const valueOf = (name: string): string =>
    name.startsWith('parameters.') ? (parameters[name.slice('parameters.'.length)] ?? '') : (values[name] ?? '');
  const filled = body.replaceAll(/\{\{\s*([\w.-]+)\s*\}\}/g, (_, name: string) => encoded(valueOf(name), contentType));
  return { contentType, body: filled };
}

function encoded(value: string, contentType: string): string {
  if (contentType === JSON_TYPE) return JSON.stringify(value).slice(1, -1);
  return contentType === 'text/plain' ? value : encodeURIComponent(value);
}

function json(value: object): WebhookRequest {
  return { contentType: JSON_TYPE, body: JSON.stringify(value) };
}

/** Returns title, text and link as lines. */
function plainText({ title, text, link }: NotifyMessage): string {
  return [title, text, ...(link === undefined ? [] : [link])].join('\n');
}

/** @see https://api.slack.com/reference/surfaces/formatting#escaping */
function slackText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Message for a workflow "When a Teams webhook request is received". */
function teamsCard({ title, text, link, priority }: NotifyMessage): object {
  const color = { critical: 'Attention', high: 'Attention', medium: 'Warning', low: 'Default' }[priority];
  return {
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          body: [
            { type: 'TextBlock', text: title, weight: 'Bolder', size: 'Medium', wrap: true, color },
            // A card joins lines that one empty line does not divide.
            { type: 'TextBlock', text: text.replaceAll('\n', '\n\n'), wrap: true },
          ],
          actions: link === undefined ? [] : [{ type: 'Action.OpenUrl', title: LINK_TEXT, url: link }],
        },
      },
    ],
  };
}

/** A header has ASCII only. @see RFC 2047, which ntfy reads. */
function encodedHeader(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`;
}

/** One event for each alarm, so that its return resolves it. The key lets PagerDuty drop repeats. */
function pagerdutyEvents(message: NotifyMessage, { routing_key = '' }: Parameters): readonly WebhookRequest[] {
  const { agent, kind, link, title, text, more, priority, alarms } = message;
  const event = (key: string, summary: string, ofPriority: AlarmPriority, notice: Notice | undefined) =>
    json({
      routing_key,
      event_action: kind === 'returned' ? 'resolve' : 'trigger',
      dedup_key: `${agent}/${key}`,
      payload: {
        summary: summary.slice(0, PAGERDUTY_SUMMARY_MAX),
        source: agent,
        severity: { critical: 'critical', high: 'error', medium: 'warning', low: 'info' }[ofPriority],
        ...(notice === undefined
          ? {}
          : {
              timestamp: new Date(notice.sinceMs).toISOString(),
              component: notice.watch === '' ? notice.alarm : notice.watch,
              custom_details: { alarm: notice.alarm, times: notice.times },
            }),
      },
      ...(link === undefined ? {} : { links: [{ href: link, text: LINK_TEXT }] }),
    });
  if (alarms.length === 0) return [event(kind, `${title}: ${text}`, priority, undefined)];
  return [
    ...alarms.map((notice) => event(notice.alarm, notice.message, notice.priority, notice)),
    ...(more > 0 && kind !== 'returned' ? [event('more', `${more} more alarms on ${agent}`, priority, undefined)] : []),
  ];
}

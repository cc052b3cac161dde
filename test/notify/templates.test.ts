import { describe, expect, test } from 'vitest';
import type { NotifyMessage } from '../../src/domain/notify/notify-message.ts';
import { ownRequest, templates } from '../../src/notify/webhook/templates.ts';

const message: NotifyMessage = {
  kind: 'raised',
  agent: 'edge-01',
  title: 'HIGH: watch/pump on edge-01',
  text: 'HIGH: pump is "hot" & <loud>.\nLOW: fan is late.',
  priority: 'high',
  link: 'https://edge.plant/alarms',
  alarms: [
    {
      alarm: 'watch/pump',
      watch: 'pump',
      priority: 'high',
      message: 'pump is hot.',
      kind: 'raised',
      sinceMs: Date.UTC(2026, 0, 1),
      times: 2,
      isOver: false,
      number: 1,
    },
  ],
  more: 3,
};

const bodies = (name: keyof typeof templates, parameters = {}, of = message) =>
  templates[name](of, parameters).map(({ body, contentType }) =>
    contentType === 'application/json' ? (JSON.parse(body) as Record<string, unknown>) : body,
  );

describe('the request of a template', () => {
  test('slack: one text, with what Slack reads as markup escaped', () => {
    expect(bodies('slack')).toEqual([
      {
        text: '*HIGH: watch/pump on edge-01*\nHIGH: pump is "hot" &amp; &lt;loud&gt;.\nLOW: fan is late.\n<https://edge.plant/alarms|Open the alarm page>',
      },
    ]);
  });

  test('teams: an adaptive card with a link', () => {
    expect(bodies('teams')).toMatchObject([
      {
        type: 'message',
        attachments: [
          {
            contentType: 'application/vnd.microsoft.card.adaptive',
            content: { type: 'AdaptiveCard', actions: [{ type: 'Action.OpenUrl', url: message.link }] },
          },
        ],
      },
    ]);
  });

  test('ntfy: title, priority and link in headers of ASCII only', () => {
    const [request] = templates.ntfy({ ...message, title: 'Störung' }, {});
    expect(request?.headers).toEqual({
      title: `=?UTF-8?B?${Buffer.from('Störung').toString('base64')}?=`,
      priority: '4',
      click: message.link,
    });
    expect(request?.body).toBe(message.text);
  });

  test('telegram: the chat of the parameters, and at most 4096 characters', () => {
    const [body] = bodies('telegram', { chat_id: '-100' }, { ...message, text: 'x'.repeat(9000) });
    expect(body).toMatchObject({ chat_id: '-100', text: expect.stringMatching(/^HIGH/) });
    expect(String(Reflect.get(Object(body), 'text'))).toHaveLength(4096);
  });

  test('pagerduty: one event for each alarm with its key, resolved by the return', () => {
    const events = bodies('pagerduty', { routing_key: 'key' });
    expect(events).toMatchObject([
      {
        routing_key: 'key',
        event_action: 'trigger',
        dedup_key: 'edge-01/watch/pump',
        payload: { severity: 'error', source: 'edge-01', timestamp: '2026-01-01T00:00:00.000Z' },
      },
      { dedup_key: 'edge-01/more', payload: { summary: '3 more alarms on edge-01' } },
    ]);
    expect(bodies('pagerduty', {}, { ...message, kind: 'returned' })).toMatchObject([
      { event_action: 'resolve', dedup_key: 'edge-01/watch/pump' },
    ]);
  });

  test('json: every field, in the notation of the API', () => {
    expect(bodies('json')).toMatchObject([
      {
        title: message.title,
        more: 3,
        alarms: [{ alarm: 'watch/pump', is_over: false, since_ms: Date.UTC(2026, 0, 1) }],
      },
    ]);
  });
});

describe('a body of the user', () => {
  test.each([
    ['application/json', '{"text":"{{text}}"}', `{"text":${JSON.stringify(message.text)}}`],
    [
      'application/x-www-form-urlencoded',
      'To={{parameters.to}}&Body={{ title }}',
      'To=%2B33%201&Body=HIGH%3A%20watch%2Fpump%20on%20edge-01',
    ],
    ['text/plain', '{{priority}} {{unknown}}{{link}}', 'high https://edge.plant/alarms'],
  ])('is encoded for %s', (contentType, body, expected) => {
    expect(ownRequest(body, contentType, message, { to: '+33 1' })).toEqual({ contentType, body: expected });
  });
});

import { describe, expect, test } from 'vitest';
import type { AlarmState } from '../../src/domain/alarm/alarm.ts';
import type { ChannelState } from '../../src/domain/notify/channel-state.ts';
import { type ChannelJournal, Notifier } from '../../src/notify/notifier.ts';
import { webhookSchema } from '../../src/notify/webhook/webhook-config.ts';
import { WebhookTransport } from '../../src/notify/webhook/webhook-transport.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryRecordStore } from '../support/memory-record-store.ts';
import { MessageSink } from '../support/message-sink.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';

class MemoryJournal implements ChannelJournal {
  state: ChannelState | undefined;
  fails = false;

  read(): Promise<ChannelState | undefined> {
    return Promise.resolve(this.state);
  }

  write(state: ChannelState): Promise<void> {
    if (this.fails) return Promise.reject(new Error('disk full'));
    this.state = JSON.parse(JSON.stringify(state)) as ChannelState;
    return Promise.resolve();
  }
}

let number = 0;
/** Stores the record of a change of an alarm, as the agent does. */
async function alarm(records: MemoryRecordStore, name: string, state: AlarmState = 'unacknowledged'): Promise<void> {
  number += 1;
  const body = { alarm: name, watch: 'pump', priority: 'high', state, message: `${name} is too hot.`, number };
  await records.append([{ kind: 'alarm', timestampMs: Date.now() + 1, watch: 'pump', body, alarm: undefined }]);
}

const fast = { type: 'webhook', group: { wait: '0ms' }, cooldown: '0ms', retry: { first: '10ms', max: '20ms' } };

function channel(
  url: string,
  more: object = {},
  parts = { records: new MemoryRecordStore(), journal: new MemoryJournal() },
) {
  const deps = testDeps();
  const config = webhookSchema.parse({ ...fast, url, link: 'https://edge.plant:8443/', ...more });
  const transport = new WebhookTransport(config, deps);
  const notifier = new Notifier({ id: 'shift', agentId: 'edge', config, ...parts, transport, deps });
  const health = () => deps.health.components().find(({ name }) => name === 'notify/shift');
  return { ...parts, notifier, deps, health };
}

const bodyOf = ({ body }: { readonly body: string }) => JSON.parse(body) as Record<string, unknown>;

describe('a channel over a webhook', () => {
  test('sends an alarm with a link to the alarm page, and moves its cursor', async () => {
    await using sink = await MessageSink.listen();
    const { notifier, records, health } = channel(sink.url);
    notifier.start();
    await alarm(records, 'watch/pump');
    const message = await sink.accepted.when(() => true);
    expect(bodyOf(message)).toMatchObject({
      kind: 'raised',
      agent: 'edge',
      title: 'HIGH: watch/pump on edge',
      text: 'HIGH: watch/pump is too hot.',
      link: 'https://edge.plant:8443/alarms?alarm=watch%2Fpump',
      alarms: [{ alarm: 'watch/pump', times: 1 }],
    });
    await expect.poll(() => health()?.status).toBe('ok');
    await notifier[Symbol.asyncDispose]();
    expect(
      await records.read({
        uplink: 'notify/shift',
        lane: 'backlog',
        kinds: ['alarm'],
        limits: { recordsMax: 9, bytesMax: 9e9 },
        batchesMax: 1,
        after: undefined,
      }),
    ).toEqual([]);
  });

  test.each([
    ['a status of a failed service', { status: 503 }, 'notify-service-failed'],
    ['a limit of the rate', { status: 429, headers: { 'retry-after': '0' } }, 'notify-service-failed'],
    ['refused credentials', { status: 403 }, 'notify-not-admitted'],
    ['a redirect', { status: 302, headers: { location: '/' } }, 'notify-unreachable'],
    ['a reset', 'reset', 'notify-unreachable'],
    ['no answer', 'hang', 'notify-timeout'],
  ] as const)('keeps a message after %s, and sends it once the service works', async (_, fault, code) => {
    await using sink = await MessageSink.listen();
    sink.fault = fault;
    const { notifier, records, deps, health } = channel(sink.url, { timeout: '100ms' });
    notifier.start();
    await alarm(records, 'watch/pump');
    const failures = `andon_notify_failures_total{channel="shift",code="${code}"}`;
    await expect.poll(() => metricValue(deps, failures)).toBeGreaterThan(1);
    await expect.poll(() => health()?.reason).toMatch(/; 1 alarm waits$/);
    sink.fault = undefined;
    await sink.accepted.when(() => true);
    await expect.poll(() => health()?.status).toBe('ok');
    await notifier[Symbol.asyncDispose]();
    expect(sink.accepted.items).toHaveLength(1);
  });

  test('drops a message that the service refuses for good, and says so until one is accepted', async () => {
    await using sink = await MessageSink.listen();
    sink.fault = { status: 400 };
    const { notifier, records, deps, health } = channel(sink.url);
    notifier.start();
    await alarm(records, 'watch/a');
    await expect.poll(() => health()?.reason).toMatch(/1 alarms was refused and dropped: .*HTTP 400: no/);
    expect(await metricValue(deps, 'andon_notify_dropped_total{channel="shift"}')).toBe(1);
    sink.fault = undefined;
    await alarm(records, 'watch/b');
    expect(bodyOf(await sink.accepted.when(() => true))).toMatchObject({ alarms: [{ alarm: 'watch/b' }] });
    await expect.poll(() => health()?.status).toBe('ok');
    await notifier[Symbol.asyncDispose]();
  });

  test('takes a status as the answer, also with a body without end', async () => {
    await using sink = await MessageSink.listen();
    sink.fault = 'endless-body';
    const { notifier, records, deps } = channel(sink.url);
    notifier.start();
    await alarm(records, 'watch/pump');
    await expect.poll(() => metricValue(deps, 'andon_notify_messages_total{channel="shift"}')).toBe(1);
    await notifier[Symbol.asyncDispose]();
    expect(sink.accepted.items).toHaveLength(1);
  });

  test('loses nothing over a stop while the service is down, and repeats nothing after a start', async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/hook`;
    const parts = { records: new MemoryRecordStore(), journal: new MemoryJournal() };
    const first = channel(url, {}, parts);
    first.notifier.start();
    await alarm(parts.records, 'watch/a');
    await expect.poll(() => first.health()?.reason).toMatch(/The request to 127.0.0.1:\d+ failed/);
    await first.notifier[Symbol.asyncDispose]();
    await alarm(parts.records, 'watch/b');

    await using sink = await MessageSink.listen(port);
    const second = channel(url, {}, parts);
    second.notifier.start();
    await sink.accepted.when(({ body }) => body.includes('watch/b'));
    await second.notifier[Symbol.asyncDispose]();
    const third = channel(url, {}, parts);
    third.notifier.start();
    await alarm(parts.records, 'watch/c');
    await sink.accepted.when(({ body }) => body.includes('watch/c'));
    await third.notifier[Symbol.asyncDispose]();
    const named = sink.accepted.items.flatMap((item) =>
      (bodyOf(item)['alarms'] as readonly { readonly alarm: string }[]).map((each) => each.alarm),
    );
    expect(named.toSorted()).toEqual(['watch/a', 'watch/b', 'watch/c']);
  });

  test('does not move its cursor while its state cannot be written', async () => {
    await using sink = await MessageSink.listen();
    const { notifier, records, journal, health } = channel(sink.url);
    journal.fails = true;
    notifier.start();
    await alarm(records, 'watch/pump');
    await sink.accepted.when(() => true);
    await expect.poll(() => health()?.reason).toMatch(/disk full/);
    await notifier[Symbol.asyncDispose]();
    const waiting = await records.read({
      uplink: 'notify/shift',
      lane: 'backlog',
      kinds: ['alarm'],
      limits: { recordsMax: 9, bytesMax: 9e9 },
      batchesMax: 1,
      after: undefined,
    });
    expect(waiting).toHaveLength(1);
  });

  test('may be ended twice, and before its start', async () => {
    const { notifier, records, health } = channel('http://127.0.0.1:9/');
    await notifier[Symbol.asyncDispose]();
    await notifier[Symbol.asyncDispose]();
    notifier.start();
    expect(records.reads).toEqual([]);
    expect(health()).toBeUndefined();
  });
});

import { expect, test } from 'vitest';
import { LiveEvents } from '../../src/contracts/live-events.ts';
import type { WatchSummary } from '../../src/contracts/watch-summaries.ts';
import { publishSchema } from '../../src/uplinks/publish-config.ts';
import { Publisher } from '../../src/uplinks/publisher.ts';
import { testDeps } from '../support/test-deps.ts';
import { UpstreamBroker } from '../support/upstream-broker.ts';

const timestampMs = 1_767_225_600_000;
const learning: WatchSummary = {
  watch: 'pump-1',
  state: 'learning',
  reason: undefined,
  sinceMs: timestampMs,
  judgedMs: undefined,
  learning: {
    phase: 'proposed',
    coveredMs: 30_000,
    neededMs: 60_000,
    version: 2,
    reason: 'a model is trained',
    command: 'andon models activate pump-1@2 -c andon.yaml',
    modes: [{ tag: 'running', value: 1, name: undefined, seenMs: 5000 }],
  },
};

test('the state of each watch is retained at each connect, and follows each change', async () => {
  await using stack = new AsyncDisposableStack();
  const broker = stack.use(await new UpstreamBroker().listen());
  const events = new LiveEvents();
  const unused = () => Promise.reject(new Error('no alarm commands in this test'));
  const publisher = stack.use(
    new Publisher({
      agentId: 'edge-01',
      config: publishSchema.parse({ type: 'mqtt', url: broker.url }),
      events,
      alarms: { restored: true, list: () => [], acknowledge: unused, shelve: unused, unshelve: unused },
      watches: { summaries: () => [learning] },
      deps: { ...testDeps(), random: Math.random },
    }),
  );
  publisher.start();
  const topic = 'andon/v1/edge-01/watch/pump-1';
  await expect.poll(() => broker.on(topic)).toHaveLength(1);
  expect(broker.on(topic)[0]).toEqual({
    watch: 'pump-1',
    state: 'learning',
    reason: 'a model is trained',
    since_ms: timestampMs,
    judged_ms: null,
    learning: {
      phase: 'proposed',
      progress: 0.5,
      covered_ms: 30_000,
      needed_ms: 60_000,
      version: 2,
      reason: 'a model is trained',
      command: 'andon models activate pump-1@2 -c andon.yaml',
      modes: [{ tag: 'running', value: 1, name: null, seen_ms: 5000 }],
    },
  });
  events.emit({ type: 'watch', summary: { ...learning, state: 'blind', reason: 'link-down', learning: undefined } });
  await expect.poll(() => broker.on(topic)).toHaveLength(2);
  const blind = { state: 'blind', reason: 'link-down', learning: null };
  expect(broker.on(topic)[1]).toMatchObject(blind);
  expect(JSON.parse(broker.retained.get(topic) ?? '')).toMatchObject(blind);
});

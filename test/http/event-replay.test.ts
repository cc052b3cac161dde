import { expect, test } from 'vitest';
import { type LiveEvent, LiveEvents } from '../../src/contracts/live-events.ts';
import { EventReplay } from '../../src/http/event-replay.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testDeps } from '../support/test-deps.ts';

const event = (tag: string): LiveEvent => ({
  type: 'tags',
  tags: [{ tag, value: 1, unit: '', timestampMs: 0, quality: 'good', reason: 'none' }],
});
const texts = (...tags: string[]) => tags.map((tag) => expect.stringMatching(`^${tag} `) as string);

function replayOf(filler = '') {
  const clock = new FakeClock();
  const events = new LiveEvents();
  const name = (each: LiveEvent) => (each.type === 'tags' ? each.tags[0]?.tag : each.type) ?? '';
  const replay = new EventReplay(events, (each, id) => `${name(each)} ${id}${filler}`, testDeps(clock));
  return { clock, events, replay };
}

test('a client that reconnects gets every event that it missed, in order', async () => {
  const { clock, events, replay } = replayOf();
  const received: string[] = [];
  const leave = replay.subscribe((text) => received.push(text));
  events.emit(event('a'));
  await clock.advance(0);
  const id = replay.lastId;
  leave();
  events.emit(event('b'));
  events.emit(event('c'));
  replay.subscribe(() => undefined);
  expect(received).toEqual([expect.stringMatching(`^a ${id}`)]);
  expect(replay.after(id)).toEqual({ state: 'complete', texts: texts('b', 'c') });
  expect(replay.after(replay.lastId)).toEqual({ state: 'complete', texts: [] });
});

test('events of one turn arrive together, and a client that connects in it gets none of them', async () => {
  const { clock, events, replay } = replayOf();
  const [first, second]: [string[], string[]] = [[], []];
  replay.subscribe((text) => first.push(text));
  events.emit(event('a'));
  events.emit(event('b'));
  replay.subscribe((text) => second.push(text));
  await clock.advance(0);
  expect(first).toEqual([expect.stringMatching(/^a \S+-1b \S+-2$/)]);
  expect(second).toEqual([]);
});

test('ids of another run, of the future and of no kind are a gap', () => {
  const { replay } = replayOf();
  replay.subscribe(() => undefined);
  const [run] = replay.lastId.split('-');
  for (const id of ['', 'x', 'other-0', `${run}-1`, `${run}-0.5`, `${run}-x`, `${run}--1`])
    expect({ id, state: replay.after(id).state }).toEqual({ id, state: 'gap' });
});

test('a client that missed more than is kept has a gap', () => {
  const { events, replay } = replayOf('x'.repeat(100_000));
  replay.subscribe(() => undefined);
  const id = replay.lastId;
  for (let index = 0; index < 5; index += 1) events.emit(event('a'));
  expect(replay.after(id)).toMatchObject({ state: 'complete' });
  events.emit(event('b'));
  expect(replay.after(id)).toEqual({ state: 'gap', reason: '1 events are no longer kept.' });
});

test('a minute after the last client left, events are no longer written, and an old id is a gap', async () => {
  const { clock, events, replay } = replayOf();
  replay.subscribe(() => undefined)();
  events.emit(event('a'));
  const id = replay.lastId;
  await clock.advance(60_000);
  events.emit(event('b'));
  expect(replay.lastId).toBe(id);
  replay.subscribe(() => undefined);
  expect(replay.after(id).state).toBe('gap');
});

import { expect, test } from 'vitest';
import type { ModelSlot } from '../../src/runtime/host/model-slot.ts';
import { startOrder } from '../../src/runtime/host/start-order.ts';

/** What the order is made from. */
function slot(label: string, state: ModelSlot['state'], loadMs: number | undefined): ModelSlot {
  return { label, state, known: loadMs === undefined ? undefined : {}, loadMs: loadMs ?? 0 } as unknown as ModelSlot;
}

function labels({ atOnce, later }: ReturnType<typeof startOrder>): readonly (readonly string[])[] {
  return [atOnce.map(({ label }) => label), later.map(({ label }) => label)];
}

test('at the first start all models load one after another, but for those that failed', () => {
  const slots = [slot('a', 'loading', undefined), slot('b', 'failed', undefined), slot('c', 'loading', undefined)];
  expect(labels(startOrder(slots))).toEqual([['a', 'c'], []]);
});

test('after a crash the quick ones are back first; slow ones, and those that never ran, hold up none of them', () => {
  const slots = [
    slot('heavy', 'loading', 3000),
    slot('new', 'loading', undefined),
    slot('light', 'loading', 200),
    slot('lighter', 'loading', 20),
    slot('bad', 'quarantined', undefined),
  ];
  expect(labels(startOrder(slots))).toEqual([
    ['lighter', 'light'],
    ['heavy', 'new'],
  ]);
});

test('where all are slow, one of them is loaded at once: nothing waits for it yet', () => {
  const slots = [slot('heavier', 'loading', 3000), slot('heavy', 'loading', 1000)];
  expect(labels(startOrder(slots))).toEqual([['heavy'], ['heavier']]);
});

test('one that runs on a server is loaded where its active version was to be looked up when the host was lost', () => {
  const onServer = { state: 'ready', known: undefined, loadMs: 0, remote: {} };
  const slots = [
    { ...onServer, label: 'sought', isSought: true },
    { ...onServer, label: 'well', isSought: false },
  ] as unknown as readonly ModelSlot[];
  expect(labels(startOrder(slots))).toEqual([['sought'], []]);
});

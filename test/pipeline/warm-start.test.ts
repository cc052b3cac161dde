import { expect, test } from 'vitest';
import type { SampleHistory } from '../../src/contracts/sample-history.ts';
import { startLine } from './fakes/start-line.ts';

const START_MS = Date.UTC(2026, 0, 1);

/** A history in which every tag has a good value each second, up to a time. */
function historyUntil(endMs: number): SampleHistory {
  return {
    add: () => undefined,
    addScore: () => undefined,
    rollups: async () => [],
    read: async (tags, fromMs, toMs) => {
      const seconds = Array.from({ length: 120 }, (_, second) => endMs - second * 1000).toReversed();
      const timesMs = Float64Array.from(seconds.filter((timeMs) => timeMs >= fromMs && timeMs <= toMs));
      return tags.map((tag) => ({ tag, timesMs, values: timesMs.map(() => 1) }));
    },
  };
}

test('after a restart the first row gives a verdict, and there is none for the time before', async () => {
  const line = await startLine({ history: historyUntil(START_MS - 500) });
  const before = line.verdicts().length;
  await line.second(1, 0);
  expect(
    line
      .verdicts()
      .slice(before)
      .map(({ verdict }) => verdict),
  ).toEqual(['normal']);
});

test('a gap of the history that is longer than maxAge leaves the window empty', async () => {
  const line = await startLine({ history: historyUntil(START_MS - 60_000) });
  const before = line.verdicts().length;
  await line.second(1, 0);
  expect(line.verdicts().slice(before)).toEqual([]);
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Deps } from '../../src/platform/deps.ts';
import { errorCode } from '../../src/platform/errors.ts';
import { draft, openOutbox, startHistory, testFolder } from './outbox-fixture.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';

const faulty = new URL('faulty-history-worker.ts', import.meta.url);
const batch = (id: string, value: number) => ({
  id,
  tags: ['a'],
  counts: [1],
  timesMs: Float64Array.of(1_800_000_000_000 + value),
  values: Float64Array.of(value),
  qualities: Uint8Array.of(0),
});
const all = { tag: 'a', fromMs: 0, toMs: 1e15, limit: undefined, after: undefined };

function healthOf(deps: Deps): string | undefined {
  return deps.health.components().find(({ name }) => name === 'history')?.status;
}

test.each(['ends', 'hangs'])(
  'a history worker that %s is reported and replaced, and stores each batch once',
  async (fate) => {
    const folder = testFolder();
    if (fate === 'hangs') writeFileSync(join(folder, 'hang'), '');
    const clock = new FakeClock();
    const deps = testDeps(clock);
    const outbox = await openOutbox({ folder });
    const history = startHistory(folder, deps, faulty);
    await expect.poll(() => history.isConnected).toBe(true);
    const appends = Promise.all([history.append(batch('b/1', 1)), history.append(batch('b/2', 2))]);
    await expect.poll(() => clock.advance(1000).then(() => healthOf(deps))).toBe('degraded');
    // Verdicts are stored meanwhile.
    expect(await outbox.append([draft('verdict', 1)])).toEqual([expect.any(String)]);
    await expect.poll(() => clock.advance(1000).then(() => healthOf(deps))).toBe('ok');
    await appends;
    expect([...(await history.read(all)).values]).toEqual([1, 2]);
    expect(await metricValue(deps, 'andon_history_worker_restarts_total')).toBe(1);
  },
);

test('a history folder that cannot be used does not prevent the start, and a read fails after its wait', async () => {
  const clock = new FakeClock();
  const deps = testDeps(clock);
  const history = startHistory('/proc/none', deps);
  const reading = history.read(all).catch((error: unknown) => errorCode(error));
  await expect.poll(() => clock.advance(1000).then(() => healthOf(deps))).toBe('degraded');
  await clock.advance(10_000);
  expect(await reading).toBe('history-worker-lost');
});

test('a read right after the start waits for the file', async () => {
  const folder = testFolder();
  const first = startHistory(folder, testDeps());
  await first.append(batch('b/1', 1));
  await first[Symbol.asyncDispose]();
  expect([...(await startHistory(folder, testDeps()).read(all)).values]).toEqual([1]);
});

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RegistryTransactions } from '../../src/registry/operations/registry-transactions.ts';
import { AuditLog } from '../../src/registry/audit/audit-log.ts';
import { FileLock } from '../../src/platform/file-lock.ts';
import { RegistryHarness } from '../support/registry-harness.ts';
import { meanOf4x2 } from '../support/onnx-host-harness.ts';

/*
 * What a process that was killed in the midst of an act leaves behind: the line that the act was to have, in `.act.json`.
 * Whoever acts next writes it, as what the act came to.
 */
const pump = { ...meanOf4x2, name: 'pump' };

function leftBehind(harness: RegistryHarness, after: number, action: string): void {
  const note = { actor: 'cli:killed', action, model: 'pump', version: 1, outcome: 'ok', detail: {} };
  writeFileSync(join(harness.models, '.act.json'), JSON.stringify({ after, note }));
}

test('an act that was killed after the change is in the log as done', async () => {
  await using harness = new RegistryHarness();
  await harness.install(pump);
  writeFileSync(join(harness.models, 'pump/active'), '1\n');
  leftBehind(harness, 1, 'activate');
  await harness.library.unpin('pump', 'cli:next');
  expect(await harness.audit()).toMatchObject([
    { action: 'install' },
    { actor: 'cli:killed', action: 'activate', outcome: 'ok', detail: { interrupted: 'after the change' } },
    { actor: 'cli:next', action: 'unpin' },
  ]);
  expect(existsSync(join(harness.models, '.act.json'))).toBe(false);
});

test('one that was killed before the change is in the log as not done', async () => {
  await using harness = new RegistryHarness();
  await harness.install(pump);
  leftBehind(harness, 1, 'remove');
  await harness.library.unpin('pump', 'cli:next');
  expect((await harness.acts()).slice(1)).toEqual(['remove pump@1 refused', 'unpin pump ok']);
});

test('one that was killed after its line was written is in the log once', async () => {
  await using harness = new RegistryHarness();
  await harness.install(pump);
  leftBehind(harness, 0, 'install');
  await harness.library.unpin('pump', 'cli:next');
  expect(await harness.acts()).toEqual(['install pump@1 ok', 'unpin pump ok']);
});

test('what cannot be read any more keeps nobody from mending it', async () => {
  await using harness = new RegistryHarness();
  await harness.install(pump, { activate: true });
  leftBehind(harness, 2, 'pin');
  for (const file of ['active', 'pinned']) writeFileSync(join(harness.models, 'pump', file), 'no number');
  await harness.library.unpin('pump', 'cli:next');
  await harness.library.activate({ name: 'pump', version: 1 }, 'cli:next');
  expect(harness.pointer('pump', 'active')).toBe(1);
  expect((await harness.acts()).slice(2)).toEqual(['pin pump@1 refused', 'unpin pump ok', 'activate pump@1 ok']);
});

test('a full disk is told with where it is full', async () => {
  await using harness = new RegistryHarness();
  const { models: directory, deps } = harness;
  const audit = new AuditLog(directory, deps.clock);
  const acts = new RegistryTransactions({ directory, audit, isApplied: () => Promise.resolve(false), deps });
  await expect(acts.locked(() => writeFile('/dev/full', 'x'))).rejects.toMatchObject({
    code: 'model-directory-unusable',
    message: expect.stringMatching(new RegExp(`^${directory}: ENOSPC`)) as string,
  });
});

test('leftovers of killed installs are cleared away, and those of living ones are not', async () => {
  await using harness = new RegistryHarness();
  const area = join(harness.models, '.staging');
  mkdirSync(join(area, 'act-dead'), { recursive: true });
  mkdirSync(join(area, 'act-alive'));
  using _alive = FileLock.take(join(area, 'act-alive/lock'), 0);
  await harness.install(pump);
  expect(harness.staged()).toEqual(['act-alive']);
});

test(
  'a directory that another process keeps locked is told as busy, and the act can be tried again',
  { timeout: 40_000 },
  async () => {
    await using harness = new RegistryHarness();
    await harness.install(pump);
    {
      using _lock = FileLock.take(join(harness.models, '.lock'), 0);
      const refused = harness.library.unpin('pump', 'cli:next');
      await expect(refused).rejects.toMatchObject({ code: 'models-busy', disposition: 'retry' });
    }
    await harness.library.unpin('pump', 'cli:next');
    expect((await harness.acts()).at(-1)).toBe('unpin pump ok');
  },
);

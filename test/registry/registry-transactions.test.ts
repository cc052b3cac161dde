import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RegistryTransactions } from '../../src/registry/operations/registry-transactions.ts';
import { modelAudit } from '../../src/registry/audit/audit-chain.ts';
import { AuditLog } from '../../src/registry/audit/audit-log.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testDeps } from '../support/test-deps.ts';
import { FileLock } from '../../src/platform/file-lock.ts';
import { RegistryHarness } from '../support/registry-harness.ts';
import { meanOf4x2 } from '../support/onnx-host-harness.ts';

/*
 * A process that is killed during an operation leaves the record of the operation in `.act.json`. The next operation
 * writes it to the audit log, with the result that it finds.
 */
const pump = { ...meanOf4x2, name: 'pump' };

function leftBehind(harness: RegistryHarness, after: number, action: string): void {
  const note = { actor: 'cli:killed', action, model: 'pump', version: 1, outcome: 'ok', detail: {} };
  writeFileSync(join(harness.models, '.act.json'), JSON.stringify({ after, note }));
}

test('an operation that was killed after the change is logged as done', async () => {
  await using harness = new RegistryHarness();
  await harness.install(pump);
  writeFileSync(join(harness.models, 'pump/active'), '1\n');
  leftBehind(harness, 1, 'activate');
  await harness.registry.unpin('pump', 'cli:next');
  expect(await harness.audit()).toMatchObject([
    { action: 'install' },
    { actor: 'cli:killed', action: 'activate', outcome: 'ok', detail: { interrupted: 'after the change' } },
    { actor: 'cli:next', action: 'unpin' },
  ]);
  expect(existsSync(join(harness.models, '.act.json'))).toBe(false);
});

test('an operation that was killed before the change is logged as refused', async () => {
  await using harness = new RegistryHarness();
  await harness.install(pump);
  leftBehind(harness, 1, 'remove');
  await harness.registry.unpin('pump', 'cli:next');
  expect((await harness.operations()).slice(1)).toEqual(['remove pump@1 refused', 'unpin pump ok']);
});

test('an operation that was killed after its record was written is logged once', async () => {
  await using harness = new RegistryHarness();
  await harness.install(pump);
  leftBehind(harness, 0, 'install');
  await harness.registry.unpin('pump', 'cli:next');
  expect(await harness.operations()).toEqual(['install pump@1 ok', 'unpin pump ok']);
});

test('damaged files do not block the operations that replace them', async () => {
  await using harness = new RegistryHarness();
  await harness.install(pump, { activate: true });
  leftBehind(harness, 2, 'pin');
  for (const file of ['active', 'pinned']) writeFileSync(join(harness.models, 'pump', file), 'no number');
  await harness.registry.unpin('pump', 'cli:next');
  await harness.registry.activate({ name: 'pump', version: 1 }, 'cli:next');
  expect(harness.pointer('pump', 'active')).toBe(1);
  expect((await harness.operations()).slice(2)).toEqual(['pin pump@1 refused', 'unpin pump ok', 'activate pump@1 ok']);
});

test('the error of a full disk names the model directory', async () => {
  await using harness = new RegistryHarness();
  const { models: directory, deps } = harness;
  const audit = new AuditLog({ directory, config: { after: [] }, format: modelAudit, clock: deps.clock });
  const transactions = new RegistryTransactions({ directory, audit, isApplied: () => Promise.resolve(false), deps });
  await expect(transactions.locked(() => writeFile('/dev/full', 'x'))).rejects.toMatchObject({
    code: 'model-directory-unusable',
    message: expect.stringMatching(new RegExp(`^${directory}: ENOSPC`)) as string,
  });
});

test('an install deletes the staging folders of killed processes only', async () => {
  await using harness = new RegistryHarness();
  const area = join(harness.models, '.staging');
  mkdirSync(join(area, 'act-dead'), { recursive: true });
  mkdirSync(join(area, 'act-alive'));
  using _alive = FileLock.take(join(area, 'act-alive/lock'), 0);
  await harness.install(pump);
  expect(harness.staged()).toEqual(['act-alive']);
});

test('an operation on a locked directory is refused as busy and succeeds when the lock is free', async () => {
  await using harness = new RegistryHarness();
  await harness.install(pump);
  const clock = new FakeClock();
  await using registry = harness.open(undefined, testDeps(clock));
  {
    using _lock = FileLock.take(join(harness.models, '.lock'), 0);
    const ended = Promise.allSettled([registry.unpin('pump', 'cli:next')]);
    let result;
    while (result === undefined) result = await Promise.race([ended, clock.advance(1_000)]);
    expect(result).toMatchObject([{ reason: { code: 'models-busy', disposition: 'retry' } }]);
  }
  await registry.unpin('pump', 'cli:next');
  expect((await harness.operations()).at(-1)).toBe('unpin pump ok');
});

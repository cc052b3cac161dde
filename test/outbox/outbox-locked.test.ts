import { join } from 'node:path';
import { expect, test } from 'vitest';
import { testDeps } from '../support/test-deps.ts';
import { lockedByAnotherProgram } from './locking-program.ts';
import { alarmDraft, draft, drain, numberOf, openOutbox, openStorage, testFolder } from './outbox-fixture.ts';

test('records wait in memory, health names the program, and all of them are stored when it ends', async () => {
  const folder = testFolder();
  const deps = testDeps();
  const outbox = await openOutbox({ folder, deps });
  const health = () => deps.health.components().find(({ name }) => name === 'outbox');
  await outbox.append([draft('verdict', 0)]);
  const program = await lockedByAnotherProgram(join(folder, 'outbox.db'));
  const appends = Array.from({ length: 90 }, (_, index) => outbox.append([draft('verdict', index + 1)]));
  await expect
    .poll(() => health()?.reason)
    .toMatch(
      new RegExp(`^Another program has .*outbox\\.db locked: .*process ${program.pid}.*; 90 records wait in memory$`),
    );
  expect(health()?.status).toBe('degraded');
  expect((await drain(outbox)).map(numberOf), 'uplinks read meanwhile').toEqual([0]);
  await program.end();
  await Promise.all(appends);
  expect((await drain(outbox)).map(numberOf)).toEqual(Array.from({ length: 90 }, (_, index) => index + 1));
  await expect.poll(() => health()?.status).toBe('ok');
  expect((await outbox.stats()).lost).toBe(0);
});

test('a locked alarm database delays its alarms and nothing else', async () => {
  const folder = testFolder();
  const storage = openStorage(folder);
  const program = await lockedByAnotherProgram(join(folder, 'alarms.db'));
  expect(storage.append(draft('verdict', 1), alarmDraft(1))).toEqual([expect.any(String), undefined]);
  expect(storage.upkeep().outbox.reason).toContain('alarms.db locked');
  await program.end();
  expect(storage.append(alarmDraft(1))).toEqual([expect.any(String)]);
  expect(storage.upkeep().outbox.status).toBe('ok');
  storage.stop();
});

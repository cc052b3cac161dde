import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FileLock } from '../../src/platform/file-lock.ts';
import { OperatorAudit, readOperatorLog } from '../../src/web/access/operator-audit.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';

let directory: string;
const config = { after: [] };

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'andon-operators-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('agents with their outboxes in one folder write one log with an intact chain', async () => {
  const deps = testDeps();
  const agents = ['a.db', 'b.db', 'c.db'].map((name) => new OperatorAudit(join(directory, name), config, deps));
  const records = agents.flatMap((agent, index) =>
    Array.from({ length: 20 }, (_, number) => agent.record(undefined, 'acknowledge', `watch/${index}-${number}`)),
  );
  await Promise.all(records);
  const { entries, broken } = await readOperatorLog(join(directory, 'a.db'), config, deps);
  expect(broken).toBeUndefined();
  expect(new Set(entries.map(({ subject }) => subject)).size).toBe(60);
  expect(await metricValue(deps, 'andon_audit_missed_total')).toBe(0);
});

test('an operator does not wait for ever for a process that keeps the lock, and the missing record is counted', async () => {
  const clock = new FakeClock();
  const deps = testDeps(clock);
  const audit = new OperatorAudit(join(directory, 'a.db'), config, deps);
  using _lock = FileLock.take(join(directory, 'audit.lock'), 0);
  const recorded = audit.record(undefined, 'acknowledge', 'watch/press').then(() => 'recorded');
  const startMs = clock.monotonicMs();
  const waited = () => clock.advance(20).then(() => 'waited');
  while ((await Promise.race([recorded, waited()])) === 'waited');
  expect(clock.monotonicMs() - startMs).toBeLessThan(11_000);
  expect(await metricValue(deps, 'andon_audit_missed_total')).toBe(1);
});

test('a key that cannot be read degrades health with the remedy, until it can', async () => {
  const clock = new FakeClock();
  const deps = testDeps(clock);
  const health = () => deps.health.components().find(({ name }) => name === 'audit');
  const key = { file: join(directory, 'key') };
  await using audit = new OperatorAudit(join(directory, 'a.db'), { ...config, key }, deps);
  expect(health()).toMatchObject({ status: 'degraded' });
  expect(health()?.reason).toMatch(/^audit-key-unreadable: .*key.*Let the service read the key/);
  await audit.record(undefined, 'acknowledge', 'watch/press');
  expect(health()?.status).toBe('degraded');
  writeFileSync(key.file, 'k'.repeat(64));
  await clock.advance(10_000);
  expect(health()).toMatchObject({ status: 'ok', reason: '' });
});

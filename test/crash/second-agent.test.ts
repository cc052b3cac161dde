import { expect, test } from 'vitest';
import { CrashPlant } from '../support/crash-plant.ts';
import { outboxRecords } from '../support/crash-receipts.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

/*
 * Invariant: an outbox has one writer. A second agent on it ends with code 1 and a sentence that says why; the first one
 * notices nothing; and no death of an agent, however violent, keeps the next one out.
 */
test('a second agent on the same outbox is refused, and the first continues', async () => {
  await using plant = await CrashPlant.start();
  using folder = new AgentFolder();
  const uplinks = { lake: { type: 'http', url: 'http://127.0.0.1:9/none', records: ['sample'] } };
  folder.configure({ ...plant.sections('100ms'), uplinks });
  await using first = await AgentProcess.start(folder.configFile);

  const second = AgentProcess.spawn(folder.configFile);
  expect(await second.ended()).toBe(1);
  expect(second.stderr).toMatch(/Another agent uses the outbox .*outbox\.db\. Stop it first \(outbox-in-use\)/);

  const before = (await outboxRecords(folder)).length;
  await expect.poll(async () => (await outboxRecords(folder)).length).toBeGreaterThan(before);
  expect(first.log.filter(({ level }) => level >= 50)).toEqual([]);
  await first.end('SIGKILL');

  await using third = await AgentProcess.start(folder.configFile);
  expect(await third.end('SIGTERM')).toBe(0);
});

import Database from 'better-sqlite3';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CrashPlant } from '../support/crash-plant.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

test('an agent that finds an outbox of a later version ends with code 78 and what to do, and changes nothing', async () => {
  await using plant = await CrashPlant.start();
  using folder = new AgentFolder();
  folder.configure(plant.sections('100ms'));
  {
    await using first = await AgentProcess.start(folder.configFile);
    expect(await first.end('SIGTERM')).toBe(0);
  }
  const path = join(folder.path, 'outbox.db');
  const later = new Database(path);
  later.pragma('user_version = 99');
  later.close();
  const before = readFileSync(path);

  const second = AgentProcess.spawn(folder.configFile);
  expect(await second.ended()).toBe(78);
  expect(second.stderr).toMatch(/outbox\.db has format 99, .* Install the later version again, .*\(database-newer\)/);
  expect(readFileSync(path)).toEqual(before);
  expect(readdirSync(folder.path)).not.toContain('outbox.db.quarantine');
});

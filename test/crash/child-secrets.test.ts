import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { CrashPlant } from '../support/crash-plant.ts';

const SECRETS = {
  BROKER_PASSWORD: 'secret-of-the-broker',
  LAKE_TOKEN: 'secret-of-the-lake',
  OTHER: 'not a secret of the configuration, and for no child',
};

test('no child process has the secrets of sources and uplinks, and the databases are for their owner alone', async () => {
  await using plant = await CrashPlant.start();
  using folder = new AgentFolder();
  folder.configure({
    ...plant.sections('100ms'),
    watches: { level: { model: 'echo', tags: ['level'], window: { step: '100ms', maxAge: '5s' }, alarm: {} } },
    serving: { listen: '127.0.0.1:0', token: { env: 'OTHER' } },
    uplinks: {
      lake: { type: 'http', url: 'http://127.0.0.1:9', headers: { authorization: { env: 'LAKE_TOKEN' } } },
      cloud: { type: 'mqtt', url: 'mqtt://127.0.0.1:9', username: 'u', password: { env: 'BROKER_PASSWORD' } },
    },
  });
  await using agent = await AgentProcess.start(folder.configFile, SECRETS);
  await agent.modelServerUrl();
  await expect.poll(() => childrenOf(agent.child.pid ?? 0).length).toBeGreaterThan(1);
  const environments = childrenOf(agent.child.pid ?? 0).map((pid) => readFileSync(`/proc/${pid}/environ`, 'utf8'));
  for (const text of environments) {
    expect(text).not.toContain(SECRETS.BROKER_PASSWORD);
    expect(text).not.toContain(SECRETS.LAKE_TOKEN);
  }
  // The model server alone has the token of its clients.
  expect(environments.filter((text) => text.includes(SECRETS.OTHER))).toHaveLength(1);
  const databases = readdirSync(folder.path).filter((name) => /\.db/.test(name));
  expect(databases.length).toBeGreaterThan(2);
  for (const name of databases)
    expect({ name, mode: statSync(join(folder.path, name)).mode & 0o077 }).toEqual({ name, mode: 0 });
});

/** Process ids of all descendants. */
function childrenOf(pid: number): readonly string[] {
  const own = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((text) => text !== '');
  return own.flatMap((child) => [child, ...childrenOf(Number(child))]);
}

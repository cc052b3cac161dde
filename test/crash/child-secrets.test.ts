import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { CrashPlant } from '../support/crash-plant.ts';
import { TestModelDirectory } from '../support/onnx-directory.ts';
import { meanModel } from '../support/onnx-models.ts';

const SECRETS = {
  BROKER_PASSWORD: 'secret-of-the-broker',
  LAKE_TOKEN: 'secret-of-the-lake',
  OTHER: 'secret-of-the-model-server',
  TRITON_TOKEN: 'secret-of-a-model-on-a-server',
  WATCH_TOKEN: 'secret-of-the-model-of-a-watch-on-a-server',
  AWS_SECRET_ACCESS_KEY: 'secret-that-the-configuration-does-not-name',
  CUDA_TOKEN: 'secret-with-the-name-of-a-driver',
  CREDENTIALS_DIRECTORY: '/secret-folder',
  HTTPS_PROXY: 'http://plant:secret-of-the-proxy@127.0.0.1:9',
};
const echo = {
  name: 'echo',
  bytes: meanModel(1, 1),
  steps: 1,
  tags: 1,
  golden: [{ window: [0.5], score: 0.5 }],
  manifest: { threshold: 1e9 },
};
/** What drivers, libraries and the model server need. */
const NEEDED = { TZ: 'Asia/Tokyo', LC_ALL: 'C.UTF-8', LD_LIBRARY_PATH: '/opt/cuda', CUDA_VISIBLE_DEVICES: '0' };

test('no child process, answer or log has the secrets of sources and uplinks, and the databases are for their owner alone', async () => {
  await using plant = await CrashPlant.start();
  using folder = new AgentFolder();
  using models = new TestModelDirectory([echo]);
  // The agent itself sends the requests of watches.
  models.addRemote({ ...echo, name: 'far' }, { url: 'http://127.0.0.1:9', token: { env: 'WATCH_TOKEN' } });
  const watch = { tags: ['level'], window: { step: '100ms', maxAge: '5s' }, alarm: {} };
  folder.configure({
    ...plant.sections('100ms'),
    models: { directory: models.path },
    watches: { level: { model: 'echo', ...watch }, far: { model: 'far', ...watch } },
    serving: { listen: '127.0.0.1:0', token: { env: 'OTHER' }, environment: ['TRITON_TOKEN'] },
    uplinks: {
      lake: { type: 'http', url: 'http://127.0.0.1:9', headers: { authorization: { env: 'LAKE_TOKEN' } } },
      cloud: { type: 'mqtt', url: 'mqtt://127.0.0.1:9', username: 'u', password: { env: 'BROKER_PASSWORD' } },
    },
  });
  await using agent = await AgentProcess.start(folder.configFile, { ...SECRETS, ...NEEDED });
  await agent.modelServerUrl();
  await expect.poll(() => childrenOf(agent.child.pid ?? 0).length).toBeGreaterThan(1);
  const environments = childrenOf(agent.child.pid ?? 0).map((pid) => readFileSync(`/proc/${pid}/environ`, 'utf8'));
  // The model server alone has the secrets that it uses, and the proxy.
  const isModelServer = (text: string) => text.includes(SECRETS.OTHER);
  expect(environments.filter(isModelServer)).toHaveLength(1);
  for (const text of environments) {
    const own = isModelServer(text) ? ['HTTPS_PROXY', 'OTHER', 'TRITON_TOKEN'] : [];
    const names = Object.entries(SECRETS).flatMap(([name, value]) => (text.includes(value) ? [name] : []));
    expect(names.toSorted()).toEqual(own);
    expect(text.split('\0')).toEqual(
      expect.arrayContaining(Object.entries(NEEDED).map(([name, value]) => `${name}=${value}`)),
    );
  }
  expect(await answersWithSecrets(agent, folder)).toEqual([]);
  const log = JSON.stringify(agent.log) + agent.stderr;
  expect(Object.values(SECRETS).filter((secret) => log.includes(secret))).toEqual([]);
  const databases = readdirSync(folder.path).filter((name) => /\.db/.test(name));
  expect(databases.length).toBeGreaterThan(2);
  for (const name of databases)
    expect({ name, mode: statSync(join(folder.path, name)).mode & 0o077 }).toEqual({ name, mode: 0 });
});

/** Gets each path of the API as an administrator. Returns those whose answer has a secret of the environment or the local token. */
async function answersWithSecrets(agent: AgentProcess, folder: AgentFolder): Promise<readonly string[]> {
  const token = readFileSync(join(folder.path, 'outbox.db.token'), 'utf8').trim();
  const headers = { authorization: `Bearer ${token}` };
  const get = async (path: string) => {
    const answer = await fetch(agent.httpUrl + path, { headers, signal: AbortSignal.timeout(60_000) });
    return { path, status: answer.status, text: await answer.text() };
  };
  const description = await get('/api/v1/openapi.json');
  const { paths } = JSON.parse(description.text) as { readonly paths: Readonly<Record<string, object>> };
  const names = Object.entries(paths).flatMap(([path, methods]) => ('get' in methods ? [path] : []));
  const known = { source: 'plc', watch: 'level', name: 'echo', version: '1' };
  const filled = names
    .map((path) => Object.entries(known).reduce((text, [key, value]) => text.replace(`{${key}}`, value), path))
    // Live events do not end.
    .filter((path) => !path.includes('{') && path !== '/api/v1/events');
  const answers = await Promise.all([...filled, '/metrics', '/healthz'].map(get));
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(16);
  const secrets = [...Object.values(SECRETS), token];
  return answers.flatMap((each) => (secrets.some((secret) => each.text.includes(secret)) ? [each.path] : []));
}

/** Process ids of all descendants. */
function childrenOf(pid: number): readonly string[] {
  const own = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((text) => text !== '');
  return own.flatMap((child) => [child, ...childrenOf(Number(child))]);
}

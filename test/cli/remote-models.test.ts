import { expect, test } from 'vitest';
import { OipFaultServer } from '../support/oip-fault-server.ts';
import { TestModelDirectory } from '../support/onnx-directory.ts';
import { meanOf4x2 } from '../support/onnx-host-harness.ts';
import { localMean } from '../support/remote-harness.ts';
import { AgentFolder } from '../support/start-agent.ts';
import { andon } from './run-andon.ts';

test(
  'the commands show the server of a remote model, its state, and the fallback that judges instead',
  { timeout: 120_000 },
  async () => {
    await using server = await OipFaultServer.start();
    using models = new TestModelDirectory([localMean]);
    models.addRemote(meanOf4x2, { url: server.url });
    models.addRemote({ ...meanOf4x2, version: 2 }, { url: server.url, model: 'mean', fallback: 'local@1' });
    using folder = new AgentFolder();
    folder.configure({
      sources: {
        plc: {
          type: 'modbus',
          url: 'tcp://127.0.0.1:9',
          tags: Object.fromEntries(
            [0, 1].map((address) => [`tag-${address}`, { register: 'holding', address, type: 'int16', unit: 'bar' }]),
          ),
        },
      },
      models: { directory: models.path },
      watches: { machine: { model: 'mean', tags: ['tag-0', 'tag-1'], window: { step: '1s' } } },
    });
    const run = (...args: readonly string[]) => andon(...args, '-c', folder.configFile);
    const list = async () =>
      JSON.parse((await run('models', 'list', '--json')).stdout) as { models: readonly object[] };

    expect((await list()).models).toMatchObject([
      { name: 'local', version: 1, active: true, state: 'ready', provider: 'cpu' },
      { name: 'mean', version: 1, active: false, state: 'stored' },
      { name: 'mean', version: 2, active: true, state: 'ready', provider: 'remote', fallbacks: [] },
    ]);
    expect(await run('models', 'verify', 'mean@2')).toMatchObject({
      code: 0,
      stdout: 'mean@2: ok (remote), unsigned\n',
    });
    const shown = await run('models', 'show', 'mean');
    expect(shown.stdout).toContain(`runs at    ${server.url}, as mean\n  fallback   local@1`);
    const plan = await andon('plan', folder.configFile, '--json');
    expect(JSON.parse(plan.stdout)).toMatchObject({
      models: [
        {
          model: 'mean',
          version: 2,
          executionProviders: ['remote'],
          remote: { url: server.url, fallback: 'local@1' },
          problem: '',
        },
      ],
    });
    expect((await andon('plan', folder.configFile)).stdout).toContain(`${server.url} → local@1`);
    expect(await run('models', 'activate', 'mean@1')).toMatchObject({ code: 0 });
    await server.kill();
    const alone = await run('models', 'list', '--json');
    expect(alone.code).toBe(1);
    expect(JSON.parse(alone.stdout)).toMatchObject({
      models: [
        {},
        { version: 1, active: true, state: 'failed', reason: expect.stringContaining('ECONNREFUSED') as string },
        {},
      ],
    });
    expect(await run('models', 'activate', 'mean@2')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ECONNREFUSED') as string,
    });
  },
);

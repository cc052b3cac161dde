import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CrashPlant } from '../support/crash-plant.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { programPath } from '../support/programs.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

/*
 * Retained messages on mosquitto, as a later subscriber gets them. Invariant: there is one for each watch and alarm that exists,
 * and for no other.
 */
const run = promisify(execFile);
const program = programPath('mosquitto_sub');
const window = { step: '200ms', maxAge: '10s' };
const watch = { model: 'echo', tags: ['level'], window, alarm: {} };
const base = 'andon/v1/edge';

async function retained(broker: Mosquitto): Promise<readonly string[]> {
  const args = ['-p', String(broker.port), '-t', `${base}/#`, '--retained-only', '-W', '1', '-F', '%t'];
  // It ends with 27 after the time limit.
  const output = await run(program ?? '', args).catch((error: { readonly stdout: string }) => error);
  return output.stdout.split('\n').filter(Boolean).toSorted();
}

const of = (...watches: readonly string[]) =>
  [
    ...watches.flatMap((id) => [`${base}/alarm/${id}`, `${base}/alarm/watch/${id}`, `${base}/watch/${id}`]),
    `${base}/state`,
  ].toSorted();

describe.skipIf(program === undefined)('retained messages', () => {
  test('of a removed watch go with a reload, or with the next start; those of others stay', async () => {
    await using plant = await CrashPlant.start();
    await using broker = await Mosquitto.start();
    using folder = new AgentFolder();
    const sections = { ...plant.sections('200ms'), publish: { type: 'mqtt', url: broker.url } };
    const configure = (...ids: readonly string[]) =>
      folder.configure({ ...sections, watches: Object.fromEntries(ids.map((id) => [id, watch])) });
    configure('a', 'b', 'c');
    // In alarm, so that the last message of a removed one follows later.
    plant.plc.registers[0] = 5;
    {
      await using agent = await AgentProcess.start(folder.configFile);
      await expect.poll(() => retained(broker)).toEqual(of('a', 'b', 'c'));
      configure('b', 'c');
      agent.child.kill('SIGHUP');
      await expect.poll(() => retained(broker)).toEqual(of('b', 'c'));
      expect(await agent.end('SIGTERM')).toBe(0);
    }
    expect(await retained(broker)).toEqual(of('b', 'c'));
    configure('c');
    await using agent = await AgentProcess.start(folder.configFile);
    await expect.poll(() => retained(broker)).toEqual(of('c'));
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(agent.stderr).toBe('');
  });

  test('stay if the broker does not allow the agent to read them, and publishing works', async () => {
    await using plant = await CrashPlant.start();
    const users = { edge: 'secret', reader: 'secret' };
    const acl = `user edge\ntopic write ${base}/#\n\nuser reader\ntopic read ${base}/#\n`;
    await using broker = await Mosquitto.start({ users, acl });
    using folder = new AgentFolder();
    const publish = { type: 'mqtt', url: broker.url, username: 'edge', password: { env: 'BROKER_PASSWORD' } };
    folder.configure({ ...plant.sections('200ms'), publish, watches: { a: watch } });
    await using agent = await AgentProcess.start(folder.configFile, { BROKER_PASSWORD: 'secret' });
    const metric = async () =>
      (await (await fetch(`${agent.httpUrl}/metrics`)).text()).match(
        /^andon_publish_sent_total\{topic="verdict"\} \d+/m,
      );
    await expect.poll(metric).not.toBeNull();
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(agent.log.filter(({ component, level }) => component === 'publish' && level > 30)).toEqual([]);
    expect(agent.stderr).toBe('');
  });
});

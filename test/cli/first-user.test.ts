import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { describeWith } from '../support/programs.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { logIn } from '../web/access-server.ts';
import { andon, shell } from './run-andon.ts';

/** A folder with a register list and a password. */
function newBox(): AgentFolder {
  const folder = new AgentFolder();
  onTestFinished(() => folder[Symbol.dispose]());
  writeFileSync(join(folder.path, 'press.csv'), 'name,register,address,type\nload,holding,0,float32\n');
  writeFileSync(join(folder.path, 'password'), 'long enough for a press\n', { mode: 0o600 });
  return folder;
}

const initArgs = (folder: AgentFolder) => [
  'init',
  folder.configFile,
  '--url',
  'tcp://127.0.0.1:9',
  '--tags',
  join(folder.path, 'press.csv'),
];

describeWith(['script'], 'andon init at a terminal', () => {
  test('makes the first user, shows the password once, and this login acknowledges an alarm', async () => {
    const folder = newBox();
    const words = initArgs(folder)
      .map((word) => `'${word}'`)
      .join(' ');
    const { code, stdout } = await shell(
      `script --quiet --return --command "'${process.execPath}' bin/andon.js ${words}" /dev/null`,
    );
    expect({ code, stdout }).toMatchObject({ code: 0 });
    const password = /User admin \(role admin\), password, shown this once: (\S+)/.exec(stdout)?.[1] ?? '';
    expect(password).toHaveLength(20);
    const users = join(folder.path, 'users.yaml');
    expect(statSync(users).mode & 0o777).toBe(0o600);
    for (const file of [users, folder.configFile]) expect(readFileSync(file, 'utf8')).not.toContain(password);

    // Nothing listens at the address of the device, so that the source raises an alarm.
    const text = readFileSync(folder.configFile, 'utf8').replace('127.0.0.1:8080', `127.0.0.1:${await freePort()}`);
    writeFileSync(folder.configFile, `${text}alarms: { diagnostic: { after: 1s } }\n`);
    await using agent = await AgentProcess.start(folder.configFile);
    const url = agent.httpUrl;
    const alarm = 'diagnostic/source/machine-1';
    const listed = async () => {
      const { alarms } = (await (await fetch(`${url}/api/v1/alarms`)).json()) as {
        readonly alarms: readonly { readonly alarm: string; readonly state: string }[];
      };
      return alarms.find((each) => each.alarm === alarm)?.state;
    };
    await expect.poll(listed, { timeout: 60_000 }).toBe('unacknowledged');
    const acknowledge = (cookie: string) =>
      fetch(`${url}/api/v1/alarms/${alarm}/acknowledge`, { method: 'POST', headers: { cookie } });
    expect((await acknowledge('')).status).toBe(401);
    const { cookie } = await logIn(url, 'admin', password);
    const answer = await acknowledge(cookie);
    expect(await answer.json()).toMatchObject({ state: 'acknowledged', by: 'admin' });
    expect(JSON.stringify(agent.log)).not.toContain(password);
  });
});

describe('the first user', () => {
  test('is not made by a script without --json: its output may go to a log', async () => {
    const folder = newBox();
    const { code, stdout, stderr } = await andon(...initArgs(folder));
    expect(code).toBe(0);
    expect(existsSync(join(folder.path, 'users.yaml'))).toBe(false);
    expect(stderr).toContain('users.yaml has no user: run andon users init');
    expect(stdout).toContain(`andon users init -c ${folder.configFile}`);
    expect(stdout).not.toContain('shown this once');
    expect((await andon('users', 'init', '-c', folder.configFile)).code).toBe(1);
    expect(existsSync(join(folder.path, 'users.yaml'))).toBe(false);
  });

  test('is in the JSON document, and is made once', async () => {
    const folder = newBox();
    const { code, stdout } = await andon(...initArgs(folder), '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      ok: true,
      file: folder.configFile,
      user: 'admin',
      password: expect.stringMatching(/^\S{20}$/),
    });
    const users = readFileSync(join(folder.path, 'users.yaml'), 'utf8');
    const again = await andon('users', 'init', '-c', folder.configFile, '--json');
    expect(JSON.parse(again.stdout)).toEqual({ ok: true, user: null });
    expect(readFileSync(join(folder.path, 'users.yaml'), 'utf8')).toBe(users);
  });

  test('has the password of a file, which is not printed', async () => {
    const folder = newBox();
    const { code, stdout } = await andon(...initArgs(folder), '--password-file', join(folder.path, 'password'));
    expect(code).toBe(0);
    expect(stdout).toContain('User admin (role admin) may log in with the password of the file');
    expect(stdout).not.toContain('long enough');
    expect((await andon('users', 'list', '-c', folder.configFile)).stdout).toMatch(/admin +admin/);
  });

  test('is not left over when the configuration is not kept', async () => {
    const folder = newBox();
    writeFileSync(join(folder.path, 'press.csv'), 'name,register,address,type\nload,holding,0,floot\n');
    const { code, stdout } = await andon(...initArgs(folder), '--json');
    expect(code).toBe(78);
    expect(JSON.parse(stdout)).toEqual({ ok: false, file: folder.configFile });
    expect(existsSync(join(folder.path, 'users.yaml'))).toBe(false);
  });
});

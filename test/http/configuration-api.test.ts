import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Role, roles } from '../../src/web/access/roles.ts';
import { tokenDigest } from '../../src/web/access/users-file.ts';
import { CrashPlant } from '../support/crash-plant.ts';
import { freePort } from '../support/free-port.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

type Answer = { readonly status: number; readonly body: Body };
type Body = {
  readonly text: string;
  readonly version: string;
  readonly error?: string;
  readonly is_in_use: boolean;
  readonly generation: number;
  readonly read_only: string | null;
  readonly last_apply: { readonly state: string; readonly reason: string; readonly changed: string[] } | null;
  readonly problems?: readonly { readonly line: number; readonly path: string; readonly severity: string }[];
};

/* The configuration over HTTP, of a running agent. Invariant: a text that is not in use does not stay in the file. */
describe('the configuration over HTTP', () => {
  let plant: CrashPlant;
  let folder: AgentFolder;
  let agent: AgentProcess;

  async function start(sections: Readonly<Record<string, object>> = {}): Promise<void> {
    const tokens = Object.fromEntries(roles.map((role) => [role, { role, sha256: tokenDigest(`token-${role}`) }]));
    writeFileSync(join(folder.path, 'users.yaml'), stringify({ users: {}, tokens }), { mode: 0o600 });
    folder.configure({
      ...plant.sections('100ms'),
      reload: { revertAfter: '1s' },
      ...sections,
      http: { listen: '127.0.0.1:0', users: 'users.yaml', ...sections['http'] },
    });
    chmodSync(folder.configFile, 0o640);
    agent = await AgentProcess.start(folder.configFile);
  }

  beforeEach(async () => {
    plant = await CrashPlant.start();
    folder = new AgentFolder();
  });
  afterEach(async () => {
    await agent[Symbol.asyncDispose]();
    await plant[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  async function send(path: string, role: Role, options: RequestInit = {}): Promise<Answer> {
    const headers = {
      authorization: `Bearer token-${role}`,
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(options.headers as object | undefined),
    };
    const answer = await fetch(agent.httpUrl + path, { ...options, headers });
    return { status: answer.status, body: (await answer.json()) as Body };
  }

  const read = async (role: Role = 'engineer') => (await send('/api/v1/configuration', role)).body;

  const apply = (text: string, version: string, role: Role = 'engineer') =>
    send('/api/v1/configuration', role, {
      method: 'PUT',
      headers: { 'if-match': `"${version}"` },
      body: JSON.stringify({ text }),
    });

  const onDisk = () => readFileSync(folder.configFile, 'utf8');
  const outcome = async () => (await read()).last_apply?.state;
  const audit = () =>
    readFileSync(join(folder.path, 'audit.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly action: string; readonly actor: string; readonly detail: object });

  test('a valid text replaces the file with its mode, keeps the former one as a backup, and is reloaded', async () => {
    await start();
    const { text, version, is_in_use: isInUse, generation, read_only: readOnly } = await read();
    expect({ text, isInUse, generation, readOnly }).toEqual({
      text: onDisk(),
      isInUse: true,
      generation: 1,
      readOnly: null,
    });
    const next = text.replace(
      '      count:',
      '      more: { register: holding, address: 900, type: uint16 }\n      count:',
    );
    expect(await apply(next, version)).toMatchObject({ status: 202, body: { state: 'applying' } });
    await expect.poll(outcome).toBe('applied');
    expect(onDisk()).toBe(next);
    expect(readFileSync(`${folder.configFile}.bak`, 'utf8')).toBe(text);
    expect(statSync(folder.configFile).mode & 0o777).toBe(0o640);
    await expect.poll(() => plant.plc.requests.some(({ address }) => address === 900)).toBe(true);
    expect(await read()).toMatchObject({ generation: 2, is_in_use: true, last_apply: { changed: ['sources.plc'] } });
    expect(audit()).toContainEqual(
      expect.objectContaining({ action: 'edit-configuration', actor: expect.stringMatching(/^engineer@127/) }),
    );
  });

  test('a wrong text changes nothing, and each problem has its line', async () => {
    await start();
    const { text, version } = await read();
    const wrong = text.replace('scanInterval: 100ms', 'scanInterval: 100 parsecs');
    const line = wrong.split('\n').findIndex((each) => each.includes('parsecs')) + 1;
    const problem = { line, path: 'sources.plc.scanInterval', severity: 'error' };
    const checked = await send('/api/v1/configuration/check', 'engineer', {
      method: 'POST',
      body: JSON.stringify({ text: wrong }),
    });
    expect(checked).toMatchObject({ status: 200, body: { problems: [problem] } });
    expect(await apply(wrong, version)).toMatchObject({ status: 422, body: { problems: [problem] } });
    expect(onDisk()).toBe(text);
  });

  test('a text with which a source stops working is reverted, and so is the file', async () => {
    await start();
    await expect.poll(() => plant.plc.requests.length).toBeGreaterThan(2);
    const { text, version } = await read();
    const bad = text.replace(plant.plc.url, `tcp://127.0.0.1:${await freePort()}`);
    expect((await apply(bad, version)).status).toBe(202);
    await expect.poll(outcome).toBe('reverted');
    await expect.poll(onDisk).toBe(text);
    expect(readFileSync(`${folder.configFile}.rejected`, 'utf8')).toBe(bad);
    const { last_apply: last, is_in_use: isInUse } = await read();
    expect(last?.reason).toContain('sources.plc worked before');
    expect(isInUse).toBe(true);
    // The report that the file is not in use ends.
    await expect
      .poll(async () =>
        JSON.stringify(
          await (await fetch(`${agent.httpUrl}/metrics`, { headers: { authorization: 'Bearer token-viewer' } })).text(),
        ),
      )
      .not.toContain('component=\\"configuration\\"');
  });

  test('a file that was changed meanwhile is not overwritten', async () => {
    await start();
    const { text, version } = await read();
    const local = `${text}# a local edit\n`;
    writeFileSync(folder.configFile, local);
    expect((await apply(`${text}# over HTTP\n`, version)).status).toBe(412);
    const without = await send('/api/v1/configuration', 'engineer', { method: 'PUT', body: JSON.stringify({ text }) });
    expect(without.status).toBe(428);
    expect(onDisk()).toBe(local);
    expect(await read()).toMatchObject({ is_in_use: false, text: local });
    expect(await read('viewer')).toMatchObject({ is_in_use: false, text });
  });

  test('access is changed by a local edit only, and the attempt is in the audit log', async () => {
    await start();
    const { text, version } = await read();
    const refused = await apply(text.replace('users: users.yaml', 'users: mine.yaml'), version, 'admin');
    expect(refused).toMatchObject({ status: 403, body: { problems: [{ path: 'http.users', severity: 'refused' }] } });
    expect(refused.body.error).toContain('Edit the file on the box');
    expect(onDisk()).toBe(text);
    expect(audit()).toContainEqual(
      expect.objectContaining({
        action: 'refuse-configuration',
        detail: expect.objectContaining({ keys: ['http.users'] }),
      }),
    );
  });

  test('http.configuration: read-only refuses every change', async () => {
    await start({ http: { configuration: 'read-only' } });
    const { text, version, read_only: readOnly } = await read('admin');
    expect(readOnly).toBe('http.configuration is read-only');
    expect((await apply(`${text}# more\n`, version, 'admin')).status).toBe(403);
    expect(onDisk()).toBe(text);
  });

  test('a viewer and an operator see the file without literal secrets, and change nothing', async () => {
    const headers = { 'x-key': 'p4ssw0rd', 'x-ref': { env: 'HOME' } };
    await start({ uplinks: { lake: { type: 'http', url: 'http://127.0.0.1:9/', headers } } });
    for (const role of ['viewer', 'operator'] as const) {
      const { text, version } = await read(role);
      expect(text).toContain("x-key: '•••'");
      expect(text).toContain('env: HOME');
      expect(text).not.toContain('p4ssw0rd');
      expect((await apply(text, version, role)).status).toBe(403);
      const check = { method: 'POST', body: JSON.stringify({ text }) };
      expect((await send('/api/v1/configuration/check', role, check)).status).toBe(403);
    }
    expect((await read('engineer')).text).toContain('p4ssw0rd');
  });
});

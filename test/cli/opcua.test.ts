import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config-file.ts';
import { lineNode, opcuaSource, temporaryFolder } from '../support/opcua-plant.ts';
import { opcuaPeer, OpcuaServer } from '../support/opcua-server.ts';
import { describeWith } from '../support/programs.ts';
import { andon } from './run-andon.ts';

describeWith([opcuaPeer], 'OPC UA with certificates, with asyncua as server', () => {
  let server: OpcuaServer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeAll(async () => {
    folder = await temporaryFolder();
    const serverFolder = join(folder.path, 'server');
    await mkdir(serverFolder);
    await writeFile(join(folder.path, 'password'), 'secret\n');
    server = await OpcuaServer.start({ tickMs: 50, folder: serverFolder, users: { op: 'secret' } });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  const login = (path: string) => ({ username: 'op', password: { file: path } });

  test('nothing is trusted before andon opcua trust; then it works, also with a tag file of browse', async () => {
    const stateFolder = folder.path;
    const config = join(folder.path, 'andon.yaml');
    const tagsFile = join(folder.path, 'tags.csv');
    const source = { type: 'opcua', url: server.url, ...login(join(folder.path, 'password')) };
    const settings = { outbox: { path: join(stateFolder, 'outbox.db') }, agent: { id: 'edge-01' } };
    const tags = { tick: lineNode('Tick') };
    await writeFile(config, JSON.stringify({ ...settings, sources: { plc: { ...source, tags } } }));

    const security = { policy: 'Basic256Sha256', mode: 'signAndEncrypt' };
    const running = opcuaSource(server.url, stateFolder, { ...source, security, tags });
    await using _source = running.source;
    await expect.poll(() => running.health()?.reason).toContain('run andon opcua trust plc');
    expect(running.harness.last('tick')).toMatchObject({ quality: 'bad', reason: 'link-down' });

    const refused = await andon('opcua', 'trust', 'plc', '-c', config);
    expect(refused).toMatchObject({ code: 1, stdout: expect.stringContaining('not trusted') as string });
    expect(refused.stderr).toMatch(/SHA-1 +([\dA-F]{2}:){19}/);
    const trusted = await andon('opcua', 'trust', 'plc', '-c', config, '--yes', '--json');
    expect(JSON.parse(trusted.stdout)).toMatchObject({
      trusted: true,
      subject: expect.stringContaining('line') as string,
    });
    await expect.poll(() => running.health()?.status).toBe('ok');
    await expect.poll(() => running.harness.last('tick')?.quality).toBe('good');

    const browsed = await andon('opcua', 'browse', 'plc', '-c', config, '--tags-file', tagsFile);
    expect(browsed).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Line\.Temp +nsu=urn:acme:line;s=Line\.Temp +Double +20\.5/) as string,
    });
    expect(await readFile(tagsFile, 'utf8')).toContain('Line.Motor.speed,nsu=urn:acme:line;s=Line.Motor,speed');
    await writeFile(config, JSON.stringify({ ...settings, sources: { plc: { ...source, tags: { file: tagsFile } } } }));
    const loaded = await loadConfig(config);
    expect(Object.keys(loaded.config.sources['plc']?.tags ?? {})).toHaveLength(28);
  });

  test('signs only, uses Aes256_Sha256_RsaPss, and reports a wrong password and an unknown policy', async () => {
    const stateFolder = folder.path;
    const tags = { tick: lineNode('Tick') };
    const password = login(join(folder.path, 'password'));
    const start = (security: object, user: object) =>
      opcuaSource(server.url, stateFolder, { security, ...user, tags, reconnect: { first: '1s', max: '1s' } });
    const signed = start({ policy: 'Basic256Sha256', mode: 'sign' }, password);
    await using _signed = signed.source;
    const encrypted = start({ policy: 'Aes256_Sha256_RsaPss' }, password);
    await using _encrypted = encrypted.source;
    await writeFile(join(folder.path, 'wrong'), 'guess');
    const wrong = start({}, login(join(folder.path, 'wrong')));
    await using _wrong = wrong.source;
    const open = start({ policy: 'None' }, password);
    await using _open = open.source;
    await expect.poll(() => [signed.health()?.status, encrypted.health()?.status]).toEqual(['ok', 'ok']);
    await expect.poll(() => wrong.health()?.reason).toContain('the server refused the login: BadUserAccessDenied');
    await expect.poll(() => open.health()?.reason).toContain('the server does not offer None');
  });

  test('shows its own certificate, which stays the same until it is renewed', async () => {
    const config = join(folder.path, 'own.yaml');
    const sources = { plc: { type: 'opcua', url: server.url, tags: { tick: lineNode('Tick') } } };
    const outbox = { path: join(folder.path, 'outbox.db') };
    await writeFile(config, JSON.stringify({ agent: { id: 'edge-01' }, outbox, sources }));
    const show = async (...more: readonly string[]) => {
      const { code, stdout } = await andon('opcua', 'certificate', '-c', config, '--json', ...more);
      expect(code).toBe(0);
      return JSON.parse(stdout) as { readonly sha256: string; readonly applicationUri: string; readonly file: string };
    };
    const first = await show();
    expect(first.applicationUri).toMatch(/^urn:.+:andon$/);
    expect(first.file).toBe(join(folder.path, 'opcua/own/certs/andon.pem'));
    const renewed = await show('--renew');
    expect(renewed.sha256).not.toBe(first.sha256);
    expect(await show()).toEqual(renewed);
  });
});

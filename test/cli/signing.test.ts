import { appendFileSync, chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CrashPlant } from '../support/crash-plant.ts';
import { meanModel } from '../support/onnx-models.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { andon } from './run-andon.ts';

/*
 * Signing as its user does it. Invariant: with models.trust set, a version that no trusted key signed raises no
 * alarm, gives no verdict and is not activated; a signed version continues, also if another one is put next to it.
 */
const folder = mkdtempSync(join(tmpdir(), 'andon-signing-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);
const watch = { model: 'echo', tags: ['level'], window: { step: '50ms', maxAge: '5s' } };
const echo = (version: number) => ({
  name: 'echo',
  version,
  bytes: meanModel(1, 1),
  steps: 1,
  tags: 1,
  golden: [{ window: [0.5], score: 0.5 }],
});

describe('the commands', () => {
  test('sign and verify the folder of a version, without a configuration', async () => {
    cpSync(join(import.meta.dirname, '../../models/pump-anomaly/1'), at('build'), { recursive: true });
    expect(await andon('models', 'keygen', at('key'))).toMatchObject({ code: 0, stderr: '' });
    expect(await andon('models', 'keygen', at('key'))).toMatchObject({ code: 1 });
    expect(await andon('models', 'keygen', at('other'))).toMatchObject({ code: 0 });

    const verify = (...args: readonly string[]) => andon('models', 'verify', at('build'), ...args);
    expect(await verify('--key', at('key.pub'))).toMatchObject({ code: 1, stdout: `${at('build')}: unsigned\n` });
    const signed = await andon('models', 'sign', at('build'), '--key', at('key'), '--json');
    expect(signed).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(signed.stdout)).toMatchObject({ model: 'pump-anomaly@1', files: ['model.onnx', 'model.yaml'] });
    expect(await verify('--key', at('key.pub'))).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/signed by [0-9a-f]{16} \(key\.pub\), trusted/),
    });
    expect(await verify('--key', at('other.pub'))).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('which is not trusted'),
    });
    expect(await verify()).toMatchObject({ code: 1, stdout: expect.stringContaining('not checked') });
    appendFileSync(at('build/model.yaml'), '# better\n');
    const altered = await verify('--key', at('key.pub'), '--json');
    expect(altered.code).toBe(1);
    expect(JSON.parse(altered.stdout).signature).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining('was changed after'),
    });
  });

  test('take a passphrase from a file, and warn of a key that others may read', async () => {
    cpSync(join(import.meta.dirname, '../../models/fill-weight/1'), at('locked-build'), { recursive: true });
    writeFileSync(at('passphrase'), 'open sesame\n');
    await andon('models', 'keygen', at('locked'), '--passphrase-file', at('passphrase'));
    chmodSync(at('locked'), 0o644);
    const sign = (...more: readonly string[]) =>
      andon('models', 'sign', at('locked-build'), '--key', at('locked'), ...more);
    expect(await sign()).toMatchObject({ code: 1, stderr: expect.stringContaining('--passphrase-file FILE') });
    expect(await sign('--passphrase-file', at('passphrase'))).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/warning: .*chmod 600/),
    });
  });

  test.each<[string, readonly string[], number, RegExp]>([
    ['sign without a key', ['sign', './x'], 64, /required option '--key <file>'/],
    ['sign without a model', ['sign', '--key', 'k'], 64, /missing required argument 'model'/],
    [
      'sign with a key that is not there',
      ['sign', './x', '--key', '/nowhere/key'],
      1,
      /\/nowhere\/key: there is no such/,
    ],
    ['verify a folder that is not there', ['verify', './nowhere'], 1, /\.\/nowhere: there is no such folder/],
    ['keygen without a file', ['keygen'], 64, /missing required argument 'file'/],
    ['keygen in a folder that cannot be written', ['keygen', '/nowhere/key'], 1, /\/nowhere\/key\.pub: ENOENT/],
    ['verify with a key that is not there', ['verify', '.', '--key', '/nowhere/key'], 1, /\/nowhere\/key/],
  ])('%s', async (_, args, code, says) => {
    const outcome = await andon('models', ...args);
    expect(outcome.code).toBe(code);
    expect(outcome.stderr).toMatch(says);
  });
});

describe('a box that trusts a key', () => {
  test('refuses an unsigned version at the start, and one that is put next to the signed one', async () => {
    await using plant = await CrashPlant.start();
    using site = new AgentFolder();
    const sections = plant.sections('50ms');
    const models = { ...sections.models, trust: { keys: ['release.pub'] } };
    const config = () => site.configure({ ...sections, models, watches: { level: watch } });
    const manage = (...args: readonly string[]) => andon('models', ...args, '-c', site.configFile);

    config();
    const unread = await andon('check', site.configFile);
    expect(unread).toMatchObject({ code: 78 });
    expect(`${unread.stdout}${unread.stderr}`).toMatch(/andon\.yaml:\d+:\d+: models\.trust\.keys\[0\].*no such file/);
    await andon('models', 'keygen', join(site.path, 'release'));
    expect(await andon('check', '--strict', site.configFile)).toMatchObject({ code: 1 });
    expect(await manage('list')).toMatchObject({ code: 1, stdout: expect.stringContaining('is not signed') });
    expect(await manage('verify')).toMatchObject({ code: 1, stdout: expect.stringContaining('is not signed') });
    expect(await manage('activate', 'echo@1')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('(model-untrusted)'),
    });

    await using agent = await AgentProcess.start(site.configFile);
    await expect
      .poll(() => componentOf(agent, 'model/echo'))
      .toMatchObject({
        status: 'failed',
        reason: expect.stringContaining('Model echo@1 is not signed'),
      });
    expect(await verdictOf(agent)).not.toBe('normal');

    const key = join(site.path, 'release');
    expect(await manage('sign', 'echo@1', '--key', key)).toMatchObject({ code: 0, stderr: '' });
    expect(await manage('verify')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('release.pub), trusted'),
    });
    agent.child.kill('SIGHUP');
    await agent.logged(({ msg, signedBy }) => msg === 'Model ready.' && String(signedBy).includes('(release.pub)'));
    await agent.logged(({ msg }) => msg === 'The new configuration is in use.');
    await expect.poll(() => verdictOf(agent)).toBe('normal');

    // An attacker copies a version onto the box and points `active` at it, past every command.
    plant.addModel(echo(2));
    await expect
      .poll(() => componentOf(agent, 'model/echo'))
      .toMatchObject({
        status: 'degraded',
        reason: expect.stringMatching(/version 1 keeps running.*echo@2 is not signed/),
      });
    expect(await verdictOf(agent)).toBe('normal');
    // At the start, and now.
    const metrics = await (await fetch(`${urlOf(agent)}/metrics`)).text();
    expect(/^andon_model_untrusted_total.*/m.exec(metrics)?.[0]).toBe('andon_model_untrusted_total{model="echo"} 2');
    expect(await agent.end('SIGTERM')).toBe(0);
  });

  test('uses no version of a key that the reloaded configuration no longer trusts', async () => {
    await using plant = await CrashPlant.start();
    using site = new AgentFolder();
    const sections = plant.sections('50ms');
    for (const name of ['old', 'new']) await andon('models', 'keygen', join(site.path, name));
    const configure = (...keys: readonly string[]) =>
      site.configure({ ...sections, models: { ...sections.models, trust: { keys } }, watches: { level: watch } });
    configure('old.pub');
    await andon('models', 'sign', 'echo', '-c', site.configFile, '--key', join(site.path, 'old'));
    await using agent = await AgentProcess.start(site.configFile);
    await expect.poll(() => verdictOf(agent)).toBe('normal');

    configure('new.pub');
    agent.child.kill('SIGHUP');
    await agent.logged(({ msg }) => msg === 'The new configuration is in use.');
    await expect
      .poll(() => componentOf(agent, 'model/echo'))
      .toMatchObject({
        status: 'failed',
        reason: expect.stringMatching(
          /signed by key [0-9a-f]{16}, which is not trusted \(trusted: [0-9a-f]{16} \(new\.pub\)/,
        ),
      });
    // A configuration whose key cannot be read changes nothing, and no key becomes trusted.
    const before = readFileSync(site.configFile, 'utf8');
    writeFileSync(site.configFile, before.replace('new.pub', 'lost.pub'));
    agent.child.kill('SIGHUP');
    await agent.logged(({ msg }) => msg.includes('the old one stays') && msg.includes('lost.pub'));
    expect(await componentOf(agent, 'model/echo')).toMatchObject({ status: 'failed' });
    expect(await agent.end('SIGTERM')).toBe(0);
  });
});

type Component = { readonly name: string; readonly status: string; readonly reason: string };

/** The port was free for any: it is another one after a reload. */
function urlOf(agent: AgentProcess): string {
  return String(agent.log.findLast(({ msg }) => msg === 'Started.')?.['http']);
}

async function componentOf(agent: AgentProcess, name: string): Promise<Component | undefined> {
  const health = (await (await fetch(`${urlOf(agent)}/healthz`)).json()) as {
    readonly components: readonly Component[];
  };
  return health.components.find((component) => component.name === name);
}

async function verdictOf(agent: AgentProcess): Promise<string | undefined> {
  const { watches } = (await (await fetch(`${urlOf(agent)}/api/v1/watches`)).json()) as {
    readonly watches: readonly { readonly last_verdict?: { readonly verdict: string } }[];
  };
  return watches[0]?.last_verdict?.verdict;
}

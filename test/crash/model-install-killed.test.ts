import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { childPids, living } from '../support/crash-children.ts';
import { CompileCache } from '../support/crash-plant.ts';
import { RegistryHarness } from '../support/registry-harness.ts';
import { packageArchive } from '../support/model-packages.ts';
import { AgentFolder } from '../support/start-agent.ts';
import { meanOf4x2, until } from '../support/onnx-host-harness.ts';

/*
 * Invariant: `andon models install --activate`, killed at any moment, leaves each version whole or not at all, an
 * `active` that names one which is there, a lock that is free, and a log whose chain holds and which has, once the next
 * act has been done, a line for every version that is there.
 */
const program = join(import.meta.dirname, '../../bin/andon.js');
const cache = new CompileCache();
afterAll(() => cache[Symbol.dispose]());

/** Kills by the clock go through the whole of it; kills at the sight of the journal hit the change itself. */
const KILLS_BY_CLOCK = 14;
const KILLS_AT_JOURNAL = 10;

test('an install that is killed at any moment leaves nothing half', async () => {
  await using harness = new RegistryHarness();
  using folder = new AgentFolder();
  folder.configure({ models: { directory: harness.models } });
  await harness.install({ ...meanOf4x2, name: 'pump', version: 1 }, { activate: true });
  let cut = 0;
  for (let kill = 0; kill < KILLS_BY_CLOCK + KILLS_AT_JOURNAL; kill += 1) {
    const archive = join(folder.path, 'pump.tgz');
    writeFileSync(archive, packageArchive({ ...meanOf4x2, name: 'pump', version: kill + 2 }));
    const child = spawn(
      process.execPath,
      [program, 'models', 'install', archive, '--activate', '-c', folder.configFile],
      {
        stdio: 'ignore',
        env: { ...process.env, ...cache.env },
      },
    );
    if (await killed(child, harness.models, kill)) cut += 1;
    expectWhole(harness);
  }
  expect(cut).toBeGreaterThan((KILLS_BY_CLOCK + KILLS_AT_JOURNAL) / 3);
  await harness.install({ ...meanOf4x2, name: 'pump', version: 99 });
  expect(harness.staged()).toEqual([]);
  const ok = (await harness.operations()).filter((line) => line.startsWith('install') && line.endsWith('ok'));
  expect(ok.toSorted()).toEqual(
    harness
      .versions('pump')
      .map((version) => `install pump@${version} ok`)
      .toSorted(),
  );
  const activated = (await harness.audit()).filter(({ action, outcome }) => action === 'activate' && outcome === 'ok');
  expect(activated.at(-1)?.version).toBe(harness.pointer('pump', 'active'));
});

/** @returns Whether it was killed before its end. */
async function killed(child: ChildProcess, models: string, kill: number): Promise<boolean> {
  const ended = once(child, 'close');
  const hosts = new Set<number>();
  const kills = (): void => {
    for (const pid of childPids(child.pid ?? 0)) hosts.add(pid);
    child.kill('SIGKILL');
  };
  if (kill < KILLS_BY_CLOCK) setTimeout(kills, 100 + kill * 30);
  else {
    // It comes and goes for the installation, and then for the activation.
    let seen = 0;
    const watcher = watch(models, (_, file) => {
      if (file !== '.act.json') return;
      seen += 1;
      if (seen > (kill - KILLS_BY_CLOCK) / 4) kills();
    });
    void ended.then(() => watcher.close());
  }
  await ended;
  await until(
    () => living([...hosts]).length === 0,
    () => 'a host outlived the command',
  );
  return child.signalCode === 'SIGKILL';
}

function expectWhole(harness: RegistryHarness): void {
  const versions = harness.versions('pump');
  for (const version of versions) {
    const at = join(harness.models, 'pump', version);
    expect(readdirSync(at).toSorted()).toEqual(['model.onnx', 'model.yaml']);
    const manifest = parse(readFileSync(join(at, 'model.yaml'), 'utf8')) as {
      readonly sha256: string;
      version: number;
    };
    expect(manifest.version).toBe(Number(version));
    expect(
      createHash('sha256')
        .update(readFileSync(join(at, 'model.onnx')))
        .digest('hex'),
    ).toBe(manifest.sha256);
  }
  expect(versions).toContain(String(harness.pointer('pump', 'active')));
  expect(existsSync(join(harness.models, 'audit.jsonl'))).toBe(true);
}

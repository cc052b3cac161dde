import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { describeWith } from '../support/programs.ts';

const source = join(import.meta.dirname, '../../systemd');
const unit = join(source, 'andon.service');

/** A folder that is gone after the test. */
function folderOfTest(): string {
  const folder = mkdtempSync(join(tmpdir(), 'andon-systemd-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What a bundle has that the installer looks at, with the real scripts and unit. */
function fakeBundle(folder: string, version = '1'): string {
  const bundle = join(folder, `andon-${version}`);
  const files = {
    'dist/cli/main.js': `// ${version}`,
    'bin/andon.js': '#!/usr/bin/env node',
    'node_modules/.bin/node': '#!/bin/sh',
    'config/andon.yaml': '# the example',
    'models/pump/1/model.yaml': 'name: pump',
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(bundle, path)), { recursive: true });
    writeFileSync(join(bundle, path), text);
  }
  chmodSync(join(bundle, 'node_modules/.bin/node'), 0o755);
  cpSync(source, join(bundle, 'systemd'), { recursive: true });
  return bundle;
}

function run(script: string, ...args: readonly string[]): string {
  return execFileSync(script, args, { encoding: 'utf8', stdio: 'pipe' });
}

describe('the installer', () => {
  test('stages program, unit, example and models under a root, and nothing outside it', () => {
    const folder = folderOfTest();
    const root = join(folder, 'root');
    run(join(fakeBundle(folder), 'systemd/install.sh'), '--root', root);
    const staged = [
      'opt/andon/dist/cli/main.js',
      'opt/andon/systemd/uninstall.sh',
      'etc/andon/andon.yaml',
      'etc/systemd/system/andon.service',
      'var/lib/andon/models/pump/1/model.yaml',
      'usr/local/bin/andon',
    ];
    expect(staged.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(statSync(join(root, 'etc/andon/credentials')).mode & 0o777).toBe(0o700);
  });

  test('run from a newer bundle replaces the program and keeps configuration and models', () => {
    const folder = folderOfTest();
    const root = join(folder, 'root');
    run(join(fakeBundle(folder), 'systemd/install.sh'), '--root', root);
    writeFileSync(join(root, 'etc/andon/andon.yaml'), '# mine');
    writeFileSync(join(root, 'var/lib/andon/models/pump/1/model.yaml'), '# trained here');
    writeFileSync(join(root, 'opt/andon/left-over.js'), '');

    const said = run(join(fakeBundle(folder, '2'), 'systemd/install.sh'), '--root', root);

    expect(said).toMatch(/andon\.yaml \(kept\)/);
    expect(readFileSync(join(root, 'opt/andon/dist/cli/main.js'), 'utf8')).toBe('// 2');
    expect(existsSync(join(root, 'opt/andon/left-over.js'))).toBe(false);
    expect(readFileSync(join(root, 'etc/andon/andon.yaml'), 'utf8')).toBe('# mine');
    expect(readFileSync(join(root, 'var/lib/andon/models/pump/1/model.yaml'), 'utf8')).toBe('# trained here');
  });

  /** A systemctl whose service becomes ready only with the named program. It logs its calls. */
  function fakeSystemctl(folder: string, root: string, readyVersion: string): NodeJS.ProcessEnv {
    const script = join(folder, 'systemctl');
    const log = join(folder, 'systemctl.log');
    writeFileSync(
      script,
      `#!/bin/sh
echo "$*" >>"${log}"
[ "$1" != restart ] || {
  touch "${root}/var/lib/andon/outbox.db.v1-backup"
  grep -q "// ${readyVersion}" "${root}/opt/andon/dist/cli/main.js"
}`,
    );
    chmodSync(script, 0o755);
    return { ...process.env, ANDON_SYSTEMCTL: script };
  }

  const program = (root: string) => readFileSync(join(root, 'opt/andon/dist/cli/main.js'), 'utf8');

  test('keeps the previous program, and returns to it on request', () => {
    const folder = folderOfTest();
    const root = join(folder, 'root');
    run(join(fakeBundle(folder), 'systemd/install.sh'), '--root', root);
    const second = join(fakeBundle(folder, '2'), 'systemd/install.sh');
    run(second, '--root', root);
    run(second, '--root', root, '--previous');
    expect(program(root)).toBe('// 1');
    run(second, '--root', root, '--previous');
    expect(program(root)).toBe('// 2');
  });

  test('restarts a running service with the new program', () => {
    const folder = folderOfTest();
    const root = join(folder, 'root');
    run(join(fakeBundle(folder), 'systemd/install.sh'), '--root', root);
    const env = fakeSystemctl(folder, root, '2');
    execFileSync(join(fakeBundle(folder, '2'), 'systemd/install.sh'), ['--root', root], { env, stdio: 'pipe' });
    expect(program(root)).toBe('// 2');
    expect(readFileSync(join(folder, 'systemctl.log'), 'utf8').split('\n')).toContain('restart andon.service');
  });

  test('returns to the previous program and its databases if the new one does not become ready', () => {
    const folder = folderOfTest();
    const root = join(folder, 'root');
    run(join(fakeBundle(folder), 'systemd/install.sh'), '--root', root);
    const database = join(root, 'var/lib/andon/outbox.db');
    writeFileSync(database, 'migrated');
    writeFileSync(`${database}.v1-backup`, 'from before');
    const env = fakeSystemctl(folder, root, '1');
    const install = join(fakeBundle(folder, '2'), 'systemd/install.sh');
    expect(() => execFileSync(install, ['--root', root], { env, stdio: 'pipe' })).toThrow(
      /returning to the previous one[^]*the previous program runs again/,
    );
    expect(program(root)).toBe('// 1');
    expect(readFileSync(database, 'utf8')).toBe('from before');
    expect(readFileSync(`${database}.failed-upgrade`, 'utf8')).toBe('migrated');
    expect(readFileSync(join(root, 'opt/andon.previous/dist/cli/main.js'), 'utf8')).toBe('// 2');
  });

  test('is undone by the uninstaller, which keeps configuration and records unless --purge is given', () => {
    const folder = folderOfTest();
    const root = join(folder, 'root');
    const bundle = fakeBundle(folder);
    const uninstall = join(bundle, 'systemd/uninstall.sh');
    run(join(bundle, 'systemd/install.sh'), '--root', root);

    run(join(root, 'opt/andon/systemd/uninstall.sh'), '--root', root);
    const left = () =>
      run('find', root, '-not', '-type', 'd')
        .split('\n')
        .filter((path) => path !== '')
        .toSorted();
    expect(left()).toEqual([join(root, 'etc/andon/andon.yaml'), join(root, 'var/lib/andon/models/pump/1/model.yaml')]);

    run(uninstall, '--purge', '--root', root);
    expect(left()).toEqual([]);
    // A second time there is nothing to undo, and that is fine.
    expect(run(uninstall, '--purge', '--root', root)).toContain('Removed andon');
  });

  test('refuses a folder that is not a bundle, and unknown words', () => {
    const folder = folderOfTest();
    const bundle = fakeBundle(folder);
    expect(() => run(join(bundle, 'systemd/install.sh'), '--prefix', '/x')).toThrow(/usage: install\.sh/);
    expect(() => run(join(bundle, 'systemd/uninstall.sh'), '--all')).toThrow(/usage: uninstall\.sh/);
    rmSync(join(bundle, 'dist'), { recursive: true });
    expect(() => run(join(bundle, 'systemd/install.sh'), '--root', folder)).toThrow(/has no dist\/\. Make a bundle/);
  });
});

describeWith(['systemd-analyze'], 'the unit', () => {
  test('is exposed no more than 1.5, as its README says', () => {
    const said = run('systemd-analyze', 'security', '--offline=yes', '--no-pager', unit);
    const [, exposure] = /Overall exposure level for andon\.service: ([\d.]+)/.exec(said) ?? [];
    expect(Number(exposure)).toBeLessThanOrEqual(1.5);
    expect(readFileSync(join(source, 'README.md'), 'utf8')).toContain(`gives ${exposure} `);
  });

  test('has no key or value that systemd does not know', () => {
    const folder = folderOfTest();
    const program = join(folder, 'opt/andon');
    cpSync(fakeBundle(folder), program, { recursive: true });
    const text = readFileSync(unit, 'utf8').replaceAll(/(?<=(Pre|Start)=)\/opt\/andon/g, program);
    writeFileSync(join(folder, 'andon.service'), text);
    // Complaints go to standard error, also if the exit code is 0.
    const said = run('sh', '-c', `systemd-analyze verify --man=no "${join(folder, 'andon.service')}" 2>&1 || true`);
    expect(said.split('\n').filter((line) => line.includes('andon.service'))).toEqual([]);
  });
});

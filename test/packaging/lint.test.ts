import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWith } from '../support/programs.ts';

const root = join(import.meta.dirname, '../..');
const scripts = execFileSync('git', ['ls-files', 'packaging', 'systemd'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((path) => path !== '' && readFileSync(join(root, path), 'utf8').startsWith('#!'));

const run = (program: string, ...files: readonly string[]) =>
  execFileSync(program, files, { cwd: root, encoding: 'utf8', stdio: 'pipe' });

describeWith(['shellcheck'], 'shellcheck', () => {
  test('has no objection to a script of the packages or the service', () => {
    expect(scripts).toContain('packaging/debian/postinst');
    expect(run('shellcheck', ...scripts)).toBe('');
  });
});

describeWith(['hadolint'], 'hadolint', () => {
  test('has no objection to the Dockerfile', () => {
    expect(run('hadolint', 'packaging/Dockerfile')).toBe('');
  });
});

test('the image runs as a user by number, so that Kubernetes can see that it is not root, and has a health check', () => {
  const text = readFileSync(join(root, 'packaging/Dockerfile'), 'utf8');
  expect(text).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m);
  expect(text).toMatch(/^HEALTHCHECK /m);
});

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkCommand } from '../../src/cli/setup/check-command.ts';

/*
 * Each folder is a test: the output of `andon check` for its andon.yaml must equal its expected.txt. After a change of a
 * message, ANDON_UPDATE_GOLDEN=1 writes all expected files; review the diff. Paths of this machine appear as <folder>.
 */
const update = process.env['ANDON_UPDATE_GOLDEN'] === '1';

describe.each([
  { group: 'config', exitCode: 78, title: 'an invalid configuration is refused with every problem and its remedy' },
  { group: 'config-warnings', exitCode: 1, title: 'a model that cannot be used is a warning, and fails a strict check' },
  { group: 'config-valid', exitCode: 0, title: 'a valid configuration passes' },
])('$title', ({ group, exitCode }) => {
  const groupFolder = join(import.meta.dirname, group);

  test.each(readdirSync(groupFolder).filter((name) => existsSync(join(groupFolder, name, 'andon.yaml'))))('%s', async (name) => {
    const folder = join(groupFolder, name);
    const printed: string[] = [];
    const write = (text: string) => printed.push(text);
    const code = await checkCommand(join(folder, 'andon.yaml'), { json: false, strict: group === 'config-warnings' }, { out: write, err: write });
    const text = `${printed.join('\n')}\n`
      .replaceAll(`${folder}/`, '')
      .replaceAll(resolve(folder, '..'), '<folder>');
    const expectedPath = join(folder, 'expected.txt');
    if (update) writeFileSync(expectedPath, text);
    expect(text).toBe(readFileSync(expectedPath, 'utf8'));
    expect(code).toBe(exitCode);
  });
});

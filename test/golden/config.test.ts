import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkCommand } from '../../src/cli/check-command.ts';

/*
 * A folder is a test: its andon.yaml goes through `andon check`, and what that prints must be its expected.txt to the
 * letter. Whoever changes a message reads all of them again: ANDON_UPDATE_GOLDEN=1 writes them anew, git shows how
 * they changed. Paths of this machine are shown as <folder>.
 */
const update = process.env['ANDON_UPDATE_GOLDEN'] === '1';

describe.each([
  { group: 'config', exitCode: 78, title: 'a wrong configuration is refused with every problem and its remedy' },
  { group: 'config-valid', exitCode: 0, title: 'a right configuration passes' },
])('$title', ({ group, exitCode }) => {
  const groupFolder = join(import.meta.dirname, group);

  test.each(readdirSync(groupFolder).filter((name) => existsSync(join(groupFolder, name, 'andon.yaml'))))('%s', async (name) => {
    const folder = join(groupFolder, name);
    const printed: string[] = [];
    const write = (text: string) => printed.push(text);
    const code = await checkCommand(join(folder, 'andon.yaml'), { json: false }, { out: write, err: write });
    const text = `${printed.join('\n')}\n`
      .replaceAll(`${folder}/`, '')
      .replaceAll(resolve(folder, '..'), '<folder>');
    const expectedPath = join(folder, 'expected.txt');
    if (update) writeFileSync(expectedPath, text);
    expect(text).toBe(readFileSync(expectedPath, 'utf8'));
    expect(code).toBe(exitCode);
  });
});

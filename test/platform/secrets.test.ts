import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readSecret } from '../../src/platform/config-fields.ts';

function secretFile(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'andon-secret-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'token');
  writeFileSync(file, content);
  return file;
}

test('a secret is the text of its file, without the line break at the end', () => {
  expect(readSecret({ file: secretFile('hunter2\r\n') })).toBe('hunter2');
});

test.each(['', '\n'])('an empty file (%j) is not a secret: it would accept requests without a token', (content) => {
  const file = secretFile(content);
  expect(() => readSecret({ file })).toThrow(`Secret file ${file} is empty`);
});

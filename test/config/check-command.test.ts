import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkCommand } from '../../src/cli/setup/check-command.ts';
import { schemaCommand } from '../../src/cli/schema-command.ts';

const root = resolve(import.meta.dirname, '../..');

async function check(file: string): Promise<{ readonly exitCode: number; readonly out: string; readonly err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const exitCode = await checkCommand(
    file,
    { json: true, strict: false },
    { out: (text) => out.push(text), err: (text) => err.push(text) },
  );
  return { exitCode, out: out.join('\n'), err: err.join('\n') };
}

describe('andon check --json prints one document and nothing else', () => {
  test('for a valid configuration: its contents', async () => {
    const file = join(root, 'config/demo.yaml');
    const { exitCode, out, err } = await check(file);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      file,
      sources: 2,
      tags: 8,
      watches: 2,
      problems: [],
      warnings: [],
    });
  });

  test('for an invalid configuration: each problem with its position', async () => {
    const file = join(root, 'test/golden/config/key-misspelt/andon.yaml');
    const { exitCode, out, err } = await check(file);
    expect({ exitCode, err }).toEqual({ exitCode: 78, err: '' });
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      problems: [{ file, line: 6, column: 5, path: 'sources.plc-1.scanIntervall' }, { line: 7 }, { line: 8 }],
    });
  });
});

test('andon schema prints a JSON Schema with every section', () => {
  const out: string[] = [];
  expect(schemaCommand({ out: (text) => out.push(text), err: () => undefined })).toBe(0);
  expect(JSON.parse(out.join(''))).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    properties: {
      agent: {},
      sources: {},
      models: {},
      watches: {},
      publish: {},
      outbox: {},
      uplinks: {},
      http: {},
      log: {},
    },
  });
});

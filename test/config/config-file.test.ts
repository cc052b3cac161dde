import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config-file.ts';
import { agentTags } from '../../src/config/config-tags.ts';
import { ConfigError, type ConfigProblem } from '../../src/platform/errors.ts';

const root = resolve(import.meta.dirname, '../..');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andon-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

const smallest = `agent: { id: edge-01 }
sources:
  plc-1:
    type: modbus
    url: tcp://10.0.0.7:502
    tags:
      pump-1.pressure: { register: holding, address: 0, type: float32, unit: bar }
      pump-1.running: { register: discrete, address: 3, type: bool }
`;

async function fileWith(content: string | Uint8Array): Promise<string> {
  const path = join(folder, 'andon.yaml');
  await writeFile(path, content);
  return path;
}

async function problemsOf(path: string): Promise<readonly ConfigProblem[]> {
  try {
    await loadConfig(path);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

const messages = async (content: string | Uint8Array) =>
  (await problemsOf(await fileWith(content))).map(({ message }) => message);

describe('an unreadable file is refused with the reason', () => {
  test('a missing file, a folder', async () => {
    expect((await problemsOf(join(folder, 'none.yaml')))[0]?.message).toBe('the file does not exist');
    expect((await problemsOf(folder))[0]?.message).toBe('is a folder: expected a configuration file');
  });

  test('text in another encoding, as an editor on Windows may save it', async () => {
    expect(await messages(Buffer.from(`\uFEFF${smallest}`, 'utf16le'))).toEqual(['is UTF-16 text: save it as UTF-8']);
    expect(await messages(Buffer.from('agent: { id: Förderband }', 'latin1'))).toEqual([
      'is not UTF-8 text: save it as UTF-8',
    ]);
  });

  test('a byte order mark is accepted', async () => {
    expect(await messages(`\uFEFF${smallest}`)).toEqual([]);
  });

  test('a file larger than any configuration, without reading all of it', async () => {
    expect(await messages(Buffer.alloc(5_000_000, 'a'))).toEqual([
      'is larger than 4 MB: check that this is the right file',
    ]);
  });

  test.each([
    ['lists', '['.repeat(100_000)],
    ['maps', '{a: '.repeat(20_000)],
    ['dashes', '- '.repeat(50_000)],
  ])('nesting that could exhaust the stack: %s', async (_, content) => {
    expect(await messages(content)).toContain('lists or maps are nested too deeply');
  });

  test('the list of problems is cut at its limit, with a note', async () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => `key${index}: 1`).join('\n');
    const found = await messages(smallest + keys);
    expect(found.length).toBe(501);
    expect(found.at(-1)).toContain('more than 500 problems');
  });
});

describe('the loaded configuration', () => {
  test('tags are numbered over all sources in the order of the file', async () => {
    const second = `  plc-2:
    type: modbus
    url: tcp://10.0.0.8:502
    tags: { fan-1.speed: { register: input, address: 0, type: uint16, range: [0, 3000], deadband: 5 } }
`;
    const { config } = await loadConfig(await fileWith(smallest + second));
    expect(agentTags(config)).toEqual([
      { name: 'pump-1.pressure', unit: 'bar', range: undefined, deadband: 0, source: 'plc-1', number: 0 },
      { name: 'pump-1.running', unit: '', range: undefined, deadband: 0, source: 'plc-1', number: 1 },
      { name: 'fan-1.speed', unit: '', range: [0, 3000], deadband: 5, source: 'plc-2', number: 2 },
    ]);
  });

  test('relative paths start at the folder of the file; absolute paths stay', async () => {
    const paths = `models: { directory: ../models }
outbox: { path: outbox.db }
http: { token: { file: secrets/http } }
serving: { token: { file: secrets/serving } }
publish: { type: mqtt, url: mqtts://broker.local, tls: { ca: /etc/ssl/plant.pem, cert: tls/agent.pem, key: tls/agent.key } }
uplinks:
  lake: { type: http, url: 'https://lake.local/in', headers: { path: as-it-is, authorization: { file: secrets/lake } } }
`;
    const { config } = await loadConfig(await fileWith(smallest + paths));
    expect(config.models.directory).toBe(resolve(folder, '../models'));
    expect(config.outbox.path).toBe(join(folder, 'outbox.db'));
    expect(config.http.token).toEqual({ file: join(folder, 'secrets/http') });
    expect(config.serving?.token).toEqual({ file: join(folder, 'secrets/serving') });
    expect(config.publish?.tls).toEqual({
      ca: '/etc/ssl/plant.pem',
      cert: join(folder, 'tls/agent.pem'),
      key: join(folder, 'tls/agent.key'),
    });
    expect(config.uplinks['lake']).toMatchObject({
      headers: { path: 'as-it-is', authorization: { file: join(folder, 'secrets/lake') } },
    });
  });

  test('a tag may be named like a path', async () => {
    const named = smallest.replace('pump-1.running', 'file');
    const { config } = await loadConfig(await fileWith(named));
    expect(agentTags(config).map(({ name }) => name)).toContain('file');
  });

  test('a watch without a model learns one with its own name, without a warning', async () => {
    const path = await fileWith(`${smallest}watches: { pump-1: { tags: [pump-1.pressure] } }\n`);
    const { config, warnings } = await loadConfig(path);
    expect({ model: config.watches['pump-1']?.model, warnings }).toEqual({
      model: { name: 'pump-1', version: undefined },
      warnings: [],
    });
  });

  test('a watch whose model does not exist yet is learning, and the file says so', async () => {
    const path = await fileWith(`${smallest}watches: { pump-1: { model: pump-anomaly, tags: [pump-1.pressure] } }\n`);
    const { warnings } = await loadConfig(path);
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/There is no model 'pump-anomaly' in .*\. The watch is learning for 1d/),
    ]);
  });

  test('a key named __proto__ is a normal key', async () => {
    expect(await messages(`${smallest}__proto__: { agent: { id: other } }\n`)).toEqual([
      expect.stringContaining("unknown key '__proto__'"),
    ]);
  });

  test('aliases may be used for every tag', async () => {
    const tags = Array.from(
      { length: 500 },
      (_, index) => `      t${index}: { <<: *float, address: ${index * 2} }`,
    ).join('\n');
    const shared = smallest.replace('pump-1.pressure: {', 'pump-1.pressure: &float {');
    const { config } = await loadConfig(await fileWith(`${shared}${tags}\n`));
    expect(agentTags(config)).toHaveLength(502);
  });

  test.each([
    // A new box has no user yet.
    ['config/andon.yaml', [expect.stringContaining('users.yaml has no user: run andon users init')]],
    ['config/demo.yaml', []],
  ])('%s is valid, without another warning', async (path, expected) => {
    const { config, warnings } = await loadConfig(join(root, path));
    expect(agentTags(config).length).toBeGreaterThan(0);
    expect(warnings.map(({ message }) => message)).toEqual(expected);
  });
});

describe('any file', () => {
  const sample = readFileSync(
    join(root, 'test/golden/config-warnings/the-example-without-its-models/andon.yaml'),
    'utf8',
  );

  /** The sample with some pieces removed, duplicated or replaced, as by a typing error or a bad merge. */
  const damaged = fc
    .array(
      fc.record({
        at: fc.nat(sample.length),
        cut: fc.integer({ min: 0, max: 12 }),
        insert: fc.constantFrom(
          '',
          ' ',
          '\n',
          '\t',
          ':',
          ': ',
          '- ',
          '"',
          "'",
          '{',
          '}',
          '[',
          ']',
          '#',
          '&a ',
          '*a',
          '<<: ',
          '!x ',
          '---\n',
          '|',
          '>',
          '0',
          '.nan',
          '~',
          'null',
          '\u0000',
          '\u2028',
        ),
      }),
      { minLength: 1, maxLength: 4 },
    )
    .map((edits) =>
      edits.reduce((text, { at, cut, insert }) => text.slice(0, at) + insert + text.slice(at + cut), sample),
    );

  test('it is loaded, or refused with problems at positions in the file', async () => {
    await fc.assert(
      fc.asyncProperty(damaged, async (content) => {
        const path = await fileWith(content);
        const lines = content.split(/\r\n|[\n\r]/).length;
        for (const { line, column, message } of await problemsOf(path)) {
          expect(line).toBeGreaterThanOrEqual(1);
          expect(line).toBeLessThanOrEqual(lines + 1);
          expect(column).toBeGreaterThanOrEqual(1);
          expect(message).not.toBe('');
        }
      }),
      { numRuns: 150, examples: [[sample.replace('../models', '\0../models')]] },
    );
  });
});

import { join, resolve } from 'node:path';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planCommand } from '../../src/cli/plan-command.ts';
import { checkCommand } from '../../src/cli/setup/check-command.ts';
import { sha256 } from '../../src/platform/sha256.ts';
import { buildOnnx } from '../support/onnx-builder.ts';

const root = resolve(import.meta.dirname, '../..');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andon-plan-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function plan(file: string, json = false) {
  const out: string[] = [];
  const err: string[] = [];
  const exitCode = await planCommand(file, { json }, { out: (text) => out.push(text), err: (text) => err.push(text) });
  return { exitCode, out: out.join('\n'), err: err.join('\n') };
}

/** A source that reads `count` registers too far apart to be joined. */
function source(
  id: string,
  options: { url: string; unitId: number; scanInterval: string; count: number; history?: string },
): string {
  const tags = Array.from(
    { length: options.count },
    (_, index) => `      ${id}.t${index}: { register: holding, address: ${index * 1000}, type: int16 }`,
  );
  return `  ${id}:
    type: modbus
    url: ${options.url}
    unitId: ${options.unitId}
    scanInterval: ${options.scanInterval}
    history: ${options.history ?? 'watched'}
    tags:
${tags.join('\n')}
`;
}

async function fileWith(...sources: readonly string[]): Promise<string> {
  const path = join(folder, 'andon.yaml');
  await writeFile(path, `agent: { id: edge-01 }\nsources:\n${sources.join('')}`);
  return path;
}

describe('andon plan', () => {
  test('the history of all tags of a source has its cost a day', async () => {
    const rest = { url: 'tcp://127.0.0.1:502', unitId: 1, scanInterval: '1s', count: 2 };
    const file = await fileWith(source('a', { ...rest, history: 'all' }), source('b', rest));
    const { history } = JSON.parse((await plan(file, true)).out) as { readonly history: unknown };
    // 5 bytes a sample, and 50 kB a tag for minutes and hours.
    expect(history).toEqual([{ source: 'a', keeps: 'all', tags: 2, samplesPerDay: 172_800, bytesPerDay: 964_000 }]);
    expect((await plan(file)).out).toMatch(/HISTORY\n.*\na +all +2 +172,800 +1 MB/);
  });

  test('the demo can be met: its scans, windows and models are shown', async () => {
    const { exitCode, out, err } = await plan(join(root, 'config/demo.yaml'));
    expect(err).toBe('');
    expect(exitCode).toBe(0);
    for (const part of [
      'SCANS',
      'REQUESTS',
      '3 (holding)',
      '1 tag not polled',
      'WINDOWS',
      'pump-anomaly',
      'MODELS',
      'A change of agent, models, outbox, audit restarts all parts',
      'Every scan can be met',
    ])
      expect(out).toContain(part);
  });

  test('a model whose graph takes values from other files is not ok, and check warns of it', async () => {
    const model = join(folder, 'models/pump-anomaly/1');
    await cp(join(root, 'models'), join(folder, 'models'), { recursive: true });
    await cp(join(root, 'config'), join(folder, 'config'), { recursive: true });
    const weight = { name: 'w', type: 'float32', dims: [1], data: [], externalLocation: 'weights.bin' } as const;
    const bytes = buildOnnx({ inputs: [], outputs: [], initializers: [weight], nodes: [] });
    await writeFile(join(model, 'model.onnx'), bytes);
    const manifest = await readFile(join(model, 'model.yaml'), 'utf8');
    await writeFile(join(model, 'model.yaml'), manifest.replace(/sha256: \S+/, `sha256: ${sha256(bytes)}`));
    const file = join(folder, 'config/demo.yaml');
    expect((await plan(file)).out).toMatch(/pump-anomaly +1 .*model\.onnx takes values from other files \(tensors w\)/);
    const warnings: string[] = [];
    await checkCommand(
      file,
      { json: false, strict: false },
      { out: () => undefined, err: (text) => warnings.push(text) },
    );
    expect(warnings.join('\n')).toMatch(/warning: watches\.\S+\.model: .*takes values from other files/);
  });

  test('tags next to one another are one request', async () => {
    const { out } = await plan(join(root, 'config/demo.yaml'), true);
    const document: unknown = JSON.parse(out);
    expect(document).toMatchObject({
      ok: true,
      tagsNotPolled: 1,
      models: [
        { version: 1, problem: '' },
        { version: 1, problem: '' },
      ],
    });
    expect(document).toHaveProperty('scans');
    expect(JSON.stringify(document)).toContain('"tags":["pump-1.current","pump-1.flow","pump-1.temperature"]');
  });

  test('a scan that takes longer than its interval ends with 1 and says what to change', async () => {
    const file = await fileWith(
      source('plc-1', { url: 'tcp://10.0.0.7:502', unitId: 1, scanInterval: '10ms', count: 20 }),
    );
    const { exitCode, out } = await plan(file);
    expect(exitCode).toBe(1);
    expect(out).toContain('CANNOT BE MET');
    expect(out).toContain('source plc-1, unit 1: 20 requests need');
  });

  test('sources that can be met alone and not together, behind one gateway, end with 1', async () => {
    const url = 'tcp://10.0.0.7:502';
    const units = [
      source('unit-1', { url, unitId: 1, scanInterval: '50ms', count: 12 }),
      source('unit-2', { url, unitId: 2, scanInterval: '50ms', count: 15 }),
      source('unit-3', { url, unitId: 3, scanInterval: '50ms', count: 1 }),
    ];
    const { exitCode, out } = await plan(await fileWith(...units));
    expect(exitCode).toBe(1);
    expect(out).toContain(
      `${url}: the scans of unit-1, unit-2, unit-3 together need 112 % of its time, 60 % of it for unit-2 every 50ms: ` +
        'scan less often, or move together unit-1.t0, unit-1.t1, unit-1.t2, unit-1.t3, unit-1.t4 and 22 more, which take a request each',
    );
    expect((await plan(await fileWith(units[0] ?? ''))).exitCode).toBe(0);
  });

  test('a wrong configuration ends with 78 and its problems', async () => {
    const { exitCode, out, err } = await plan(join(root, 'test/golden/config/key-misspelt/andon.yaml'));
    expect(exitCode).toBe(78);
    expect(out).toBe('');
    expect(err).toContain("did you mean 'scanInterval'?");
  });

  test('a thousand requests are not all listed', async () => {
    const file = await fileWith(
      source('plc-1', { url: 'tcp://10.0.0.7:502', unitId: 1, scanInterval: '10s', count: 60 }),
    );
    expect((await plan(file)).out).toContain('… and 20 requests more; --json shows all');
  });
});

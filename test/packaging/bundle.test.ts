import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

/* The published form: JavaScript in dist/, with all libraries but the native ones inside. */
const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'andon-bundle-'));
const program = join(folder, 'bin/andon.js');

beforeAll(() => {
  execFileSync(process.execPath, [join(root, 'scripts/build-agent.ts'), join(folder, 'dist')]);
  for (const path of ['bin', 'config', 'models', 'package.json', 'docs/andon.schema.json'])
    cpSync(join(root, path), join(folder, path), { recursive: true });
  // Any other library that the bundle needs is missing. protobufjs finds `long` by its name.
  for (const library of ['onnxruntime-node', 'better-sqlite3', 'serialport', 'long']) {
    const link = join(folder, 'node_modules', library);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', library), link);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function andon(...args: readonly string[]) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
  const [[code], stdout, stderr] = await Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]);
  return { code: code as number | null, stdout, stderr };
}

test('checks a configuration with its models as the checkout does', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  expect(await andon('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  const stdout = 'config ok: 2 sources, 8 tags, 2 watches, 1 uplink\n';
  expect(await andon('check', 'config/demo.yaml')).toEqual({ code: 0, stdout, stderr: '' });
});

test('runs the demo: plant, broker, threads of the records and inference host', async () => {
  const { code, stdout, stderr } = await andon('demo', '--seconds', '2', '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  rmSync((JSON.parse(stdout) as { readonly directory: string }).directory, { recursive: true });
});

test('serves a model to clients', async () => {
  using agentFolder = new AgentFolder();
  const tags = { a: { register: 'holding', address: 0, type: 'int16' } };
  agentFolder.configure({
    sources: { plc: { type: 'modbus', url: 'tcp://127.0.0.1:1', scanInterval: '1s', tags } },
    serving: { listen: '127.0.0.1:0' },
    models: { directory: join(folder, 'models'), serve: ['pump-anomaly'] },
  });
  await using agent = await AgentProcess.start(agentFolder.configFile, {}, program);
  const url = await agent.modelServerUrl();
  await expect.poll(async () => (await fetch(`${url}/v2/models/pump-anomaly/ready`)).status).toBe(200);
  expect(await agent.end('SIGTERM')).toBe(0);
  expect(agent.stderr).toBe('');
});

test('keeps the names of functions, for stack traces, and has source maps', () => {
  const file = join(folder, 'dist/hosts/model-server.js');
  expect(readFileSync(file, 'utf8')).toContain('function applySettings(');
  const { sources } = JSON.parse(readFileSync(`${file}.map`, 'utf8')) as { readonly sources: readonly string[] };
  expect(sources.some((source) => source.endsWith('src/hosts/model-server.ts'))).toBe(true);
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type PeerCertificate } from 'node:tls';
import { Agent, type Dispatcher, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { freePort } from '../support/free-port.ts';

/*
 * From an empty folder, as its user: `andon tls init`, `andon users add`, `andon tokens add`, then the agent over TLS.
 */
const program = join(import.meta.dirname, '../../bin/andon.js');
/** A box that reads one device, which is not there. */
const served = {
  sources: {
    plc: {
      type: 'modbus',
      url: 'tcp://127.0.0.1:9',
      tags: { level: { register: 'holding', address: 0, type: 'uint16' } },
    },
  },
};
let folder: AgentFolder;
let agent: AgentProcess;
let url: string;
let password: string;
let token: string;

const path = (name: string) => join(folder.path, name);
const trusting = (ca: string, more: object = {}) =>
  new Agent({ connect: { ca: readFileSync(path(ca)), ...more } }) as Dispatcher;

beforeAll(async () => {
  folder = new AgentFolder();
  const port = await freePort();
  url = `https://127.0.0.1:${port}`;
  // The commands work before the configuration is valid: `andon check` refuses this one.
  folder.configure({ http: { listen: '0.0.0.0:8443' } });
  await andon('tls', 'init', '--json');
  password = String((await andon('users', 'add', 'anna', '--role', 'operator', '--generate', '--json'))['password']);
  token = String((await andon('tokens', 'add', 'mes', '--role', 'viewer', '--for', '30d', '--json'))['token']);
  const tls = { cert: 'tls/box.pem', key: 'tls/box.key' };
  folder.configure({ ...served, http: { listen: `127.0.0.1:${port}`, users: 'users.yaml', tls } });
  agent = await AgentProcess.start(folder.configFile);
});

afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

test('private files are readable by their owner alone, and contain no password and no token', () => {
  for (const name of ['users.yaml', 'tls/ca.key', 'tls/box.key', 'outbox.db.token'])
    expect({ name, mode: statSync(path(name)).mode & 0o777 }).toEqual({ name, mode: 0o600 });
  const text = readFileSync(path('users.yaml'), 'utf8');
  expect(text).not.toContain(password);
  expect(text).not.toContain(token);
});

test('a client that trusts the authority logs in, and the cookie is for TLS alone', async () => {
  const answer = await request(`${url}/api/v1/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user: 'anna', password }),
    dispatcher: trusting('tls/ca.pem'),
  });
  expect(await answer.body.json()).toMatchObject({ user: 'anna', role: 'operator' });
  expect(String(answer.headers['set-cookie'])).toMatch(/^__Host-andon-session=.*; Secure/);
});

test('a token reads, and may not acknowledge', async () => {
  const ask = (target: string, method: 'GET' | 'POST') =>
    request(url + target, {
      method,
      headers: { authorization: `Bearer ${token}` },
      dispatcher: trusting('tls/ca.pem'),
    });
  expect((await ask('/api/v1/alarms', 'GET')).statusCode).toBe(200);
  expect((await ask('/api/v1/alarms/press/acknowledge', 'POST')).statusCode).toBe(403);
});

test('commands on the box use the local token, and accept the certificate of the configuration alone', async () => {
  const status = await andon('status', '-c', folder.configFile, '--json');
  expect(status['components']).toEqual(
    expect.arrayContaining([expect.objectContaining({ name: 'http/tls', status: 'ok' })]),
  );
  expect(await andon('alarms', 'list', '--json')).toEqual({ alarms: [] });
  // The agent has loaded its certificate; a configuration with another one describes another agent.
  const before = readFileSync(path('tls/box.pem'));
  writeFileSync(path('tls/box.pem'), readFileSync(path('tls/ca.pem')));
  try {
    await expect(andon('alarms', 'list', '--json')).rejects.toThrow(/agent-not-reached/);
  } finally {
    writeFileSync(path('tls/box.pem'), before);
  }
});

describe('what is not TLS 1.2 or later with this certificate', () => {
  test('clear text is not answered', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (data) => (text += data.toString('latin1')));
    socket.on('error', () => undefined);
    socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await once(socket, 'close');
    expect(text).not.toContain('HTTP/1.1 200');
  });

  test('TLS 1.1 is refused', async () => {
    const socket = connectTls({
      port: Number(new URL(url).port),
      host: '127.0.0.1',
      rejectUnauthorized: false,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    await expect(once(socket, 'secureConnect')).rejects.toThrow(/protocol|handshake|alert/i);
  });
});

test('a renewed certificate is used without a restart, and open connections stay', async () => {
  const before = await servedSerial();
  const open = connectTls({ port: Number(new URL(url).port), host: '127.0.0.1', ca: readFileSync(path('tls/ca.pem')) });
  await once(open, 'secureConnect');
  const answered = async (): Promise<string> => {
    open.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    return String((await once(open, 'data'))[0]);
  };
  expect(await answered()).toMatch(/^HTTP\/1.1 200/);
  await andon('tls', 'init', '--json');
  await expect.poll(servedSerial).not.toBe(before);
  expect(await answered()).toMatch(/^HTTP\/1.1 200/);
  open.destroy();
  // The authority is the same, so no client must install another one.
  expect((await request(`${url}/healthz`, { dispatcher: trusting('tls/ca.pem') })).statusCode).toBe(200);
});

test('with tls.clientCa, a client needs a certificate and commands on the box do not', async () => {
  using other = new AgentFolder();
  const port = await freePort();
  const at = (name: string) => path(`tls/${name}`);
  other.configure({
    ...served,
    http: {
      listen: `127.0.0.1:${port}`,
      users: path('users.yaml'),
      tls: { cert: at('box.pem'), key: at('box.key'), clientCa: at('ca.pem') },
    },
  });
  await using strict = await AgentProcess.start(other.configFile);
  expect(strict.httpUrl).toMatch(/^https:/);
  const ask = (dispatcher: Dispatcher) =>
    request(`https://127.0.0.1:${port}/api/v1/alarms`, { headers: { authorization: `Bearer ${token}` }, dispatcher });
  const without = await ask(trusting('tls/ca.pem'));
  expect(without.statusCode).toBe(403);
  expect(await without.body.json()).toEqual({ error: expect.stringContaining('client certificate') });
  const status = await andon('status', '-c', other.configFile, '--json');
  expect(status['status']).toBeDefined();
});

async function servedSerial(): Promise<string> {
  const socket = connectTls({ port: Number(new URL(url).port), host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { serialNumber }: PeerCertificate = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

/** Runs a command and returns its JSON. @throws {Error} with its output if it fails otherwise than by finding something. */
async function andon(...args: readonly string[]): Promise<Record<string, unknown>> {
  const config = args.includes('-c') ? [] : ['-c', folder.configFile];
  const child = spawn(process.execPath, [program, ...args, ...config], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (data: Buffer) => (text += data.toString()));
  child.stderr.on('data', (data: Buffer) => (text += args.includes('--json') ? '' : data.toString()));
  await once(child, 'close');
  const answer = JSON.parse(text) as Record<string, unknown>;
  if (answer['ok'] === false) throw new Error(text);
  return answer;
}

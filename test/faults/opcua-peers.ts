import { type ChildProcess, execFileSync, type ExecFileSyncOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FaultyLine } from '../support/contract-line.ts';
import { freePort } from '../support/free-port.ts';
import { opcuaSource, temporaryFolder } from '../support/opcua-plant.ts';
import { OpcuaServer } from '../support/opcua-server.ts';
import type { Figures } from './fault-cases.ts';

/** Versions of the servers that the campaign installs. */
const NODE_OPCUA = '2.186.4';
const MILO = '0.6.16';
const TICK_MS = 200;
const ITEMS = 10_000;
const MEASURE_MS = 10_000;
const LIMIT_MS = 120_000;
const LOOK_MS = 20;

type PeerOptions = { readonly port: number; readonly items?: number; readonly before?: number };
type Peer = (options: PeerOptions) => Promise<AsyncDisposable>;
type Running = ReturnType<typeof opcuaSource>;

const support = join(import.meta.dirname, '..', 'support');
const quiet: ExecFileSyncOptions = { stdio: ['ignore', 'ignore', 'inherit'] };

/** Servers by name, installed in a folder. The one of asyncua is expected on PATH. */
function installPeers(folder: string): Readonly<Record<string, Peer>> {
  execFileSync(
    'npm',
    ['install', '--no-audit', '--no-fund', '--silent', '--prefix', folder, `node-opcua-server@${NODE_OPCUA}`],
    quiet,
  );
  const dependency = `<dependency><groupId>org.eclipse.milo</groupId><artifactId>sdk-server</artifactId><version>${MILO}</version></dependency>`;
  writeFileSync(
    join(folder, 'pom.xml'),
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>peer</groupId><artifactId>peer</artifactId><version>1</version><dependencies>${dependency}</dependencies></project>`,
  );
  execFileSync(
    'mvn',
    ['-q', '-B', '-f', join(folder, 'pom.xml'), 'dependency:copy-dependencies', '-DoutputDirectory=jars'],
    quiet,
  );
  copyFileSync(join(support, 'OpcuaMiloServer.java'), join(folder, 'OpcuaMiloServer.java'));
  const library = join(folder, 'node_modules', 'node-opcua-server');
  return {
    asyncua: ({ port, before = 0 }) =>
      OpcuaServer.start({ port, tickMs: TICK_MS, uris: [...namesBefore(before), 'urn:acme:line'] }),
    'node-opcua': (options) => {
      const settings = JSON.stringify({ tickMs: TICK_MS, ...options });
      return spawned(process.execPath, [join(support, 'opcua-node-server.cjs'), library, settings]);
    },
    milo: ({ port, items = 0, before = 0 }) => {
      const numbers = [port, TICK_MS, items, before].map(String);
      return spawned('java', ['-cp', join(folder, 'jars', '*'), join(folder, 'OpcuaMiloServer.java'), ...numbers]);
    },
  };
}

function namesBefore(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `urn:acme:before-${index}`);
}

async function spawned(program: string, parameters: readonly string[]): Promise<AsyncDisposable> {
  const child: ChildProcess = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = once(child, 'exit');
  const ready = new Promise<void>((resolve) =>
    child.stdout?.on('data', (text: Buffer) => text.includes('ready') && resolve()),
  );
  await Promise.race([ready, ended.then(() => Promise.reject(new Error(`${program} ended before it was ready`)))]);
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Restart with another namespace index, half-open connections and 10,000 items with each server. */
export async function opcuaPeers(): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), 'andon-opcua-peers-'));
  try {
    const figures: Record<string, number | string> = {};
    for (const [name, start] of Object.entries(installPeers(folder))) {
      const result = { ...(await faults(start)), ...(name === 'asyncua' ? {} : await manyItems(start)) };
      for (const [key, value] of Object.entries(result)) figures[`${name}: ${key}`] = value;
    }
    return figures;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function faults(start: Peer): Promise<Figures> {
  const port = await freePort();
  await using state = await temporaryFolder();
  await using line = await FaultyLine.to(port);
  await line.begin();
  const tick = { node: 'nsu=urn:acme:line;s=Line.Tick' };
  const url = `opc.tcp://127.0.0.1:${line.port}/line`;
  let server = await start({ port });
  try {
    const running = opcuaSource(url, state.path, { tags: { tick }, connectTimeout: '5s' });
    await using _source = running.source;
    await sampleAfter(running, 'good');
    const kill = server[Symbol.asyncDispose]();
    const killedMs = await sampleAfter(running, 'bad');
    await kill;
    server = await start({ port, before: 1 });
    const restartedMs = await sampleAfter(running, 'good');
    line.set('silent');
    const silentMs = await sampleAfter(running, 'bad');
    line.set('open');
    const reopenedMs = await sampleAfter(running, 'good');
    return {
      'bad after a kill, ms': killedMs,
      'good after the restart with another index, ms': restartedMs,
      'bad after silence, ms': silentMs,
      'good after silence, ms': reopenedMs,
    };
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

async function manyItems(start: Peer): Promise<Figures> {
  const port = await freePort();
  await using state = await temporaryFolder();
  await using _server = await start({ port, items: ITEMS });
  const tags = Object.fromEntries(
    Array.from({ length: ITEMS }, (_, index) => [`t${index}`, { node: `nsu=urn:acme:line;s=Line.T${index}` }]),
  );
  const beganMs = Date.now();
  const url = `opc.tcp://127.0.0.1:${port}/line`;
  const { source, harness } = opcuaSource(url, state.path, { tags, publishingInterval: '1s', connectTimeout: '60s' });
  await using _source = source;
  const waiting = new Set(Object.keys(tags));
  let looked = 0;
  await until(() => {
    for (const batch of harness.batches.items.slice(looked))
      for (const { tag, quality } of batch) if (quality === 'good') waiting.delete(tag);
    looked = harness.batches.items.length;
    return waiting.size === 0;
  });
  const openedMs = Date.now() - beganMs;
  const child = childProcess();
  const [from, cpuMs] = [harness.batches.items.length, child.cpuMs()];
  await new Promise((resolve) => setTimeout(resolve, MEASURE_MS));
  const received = harness.batches.items.slice(from).flat();
  const bad = received.filter(({ quality }) => quality !== 'good').length;
  if (bad > 0) throw new Error(`${bad} of ${received.length} values are not good`);
  return {
    'all of 10,000 items good after, ms': openedMs,
    'values/s': Math.round(received.length / (MEASURE_MS / 1000)),
    'CPU of the OPC UA process, %': Math.round(((child.cpuMs() - cpuMs) / MEASURE_MS) * 100),
    'memory of the OPC UA process, MB': child.memoryMb(),
  };
}

/** Time until a sample of this quality arrives, ms. */
async function sampleAfter({ harness }: Running, quality: 'good' | 'bad'): Promise<number> {
  const [from, beganMs] = [harness.batches.items.length, Date.now()];
  await until(() =>
    harness.batches.items
      .slice(from)
      .flat()
      .some((sample) => sample.quality === quality),
  );
  return Date.now() - beganMs;
}

async function until(holds: () => boolean): Promise<void> {
  const endMs = Date.now() + LIMIT_MS;
  while (!holds()) {
    if (Date.now() > endMs) throw new Error(`not within ${LIMIT_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** The child process with the OPC UA library. */
function childProcess() {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(/\s+/);
  const pid = children.find((each) => readFileSync(`/proc/${each}/cmdline`, 'utf8').includes('opcua-host'));
  if (pid === undefined) throw new Error('no OPC UA process');
  return {
    /** In user and kernel mode; a clock tick is 10 ms. */
    cpuMs: () => {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) * 10;
    },
    memoryMb: () => Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024),
  };
}

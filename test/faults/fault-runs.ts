import Database from 'better-sqlite3';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '../../src/plant/seeded-random.ts';
import type { Figures } from './fault-cases.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { attackTwice } from './hostile-run.ts';
import { CrashPlant } from '../support/crash-plant.ts';
import { TestCertificates } from '../support/broker-certificates.ts';
import { fuzzFront } from '../support/front-fuzz.ts';
import { fuzzTls } from '../support/tls-fuzz.ts';
import { FailingFileSystem } from './failing-file-system.ts';
import { outboxRecords, placeOf } from '../support/crash-receipts.ts';
import { brokenPromises, FaultLab, type Verification } from './fault-lab.ts';

/** A fault that needs a daemon of its own. @throws {Error} if a promise is broken. */
export type FaultRun = {
  readonly name: string;
  readonly needsRoot: boolean;
  readonly run: (seed: number) => Promise<Figures>;
};

export const faultRuns: readonly FaultRun[] = [
  { name: 'boot with a clock in 1970, set later', needsRoot: false, run: bootIn1970 },
  { name: 'an unhandled rejection', needsRoot: false, run: unhandledRejection },
  { name: 'a full file system', needsRoot: true, run: fullFileSystem },
  { name: 'a full file system that only the history is on', needsRoot: true, run: fullHistoryFileSystem },
  { name: 'boot on a read-only file system', needsRoot: true, run: readOnlyBoot },
  { name: 'the file system becomes read-only in use', needsRoot: true, run: readOnlyInUse },
  { name: 'an outbox that overflows', needsRoot: false, run: overflow },
  { name: 'a downgrade', needsRoot: false, run: downgrade },
  { name: 'damaged and truncated files', needsRoot: false, run: damagedFiles },
  { name: 'a thousand hostile connections', needsRoot: false, run: hostileConnections },
  { name: 'malformed requests', needsRoot: false, run: malformedRequests },
  { name: 'malformed TLS', needsRoot: false, run: malformedTls },
];

/** A box without a battery: the time server sets the clock after the start. */
async function bootIn1970(): Promise<Figures> {
  await using lab = await FaultLab.start({ clockOffsetMs: 60_000 - Date.now() });
  const rate = await lab.scanRate(1_000);
  const fromMs = performance.now();
  lab.shim.set('clockOffsetMs', 0);
  await lab.until('the jump is noticed', async () => (await lab.metric('andon_wall_clock_jumps_total')) > 0);
  await lab.nextJudged();
  const judged = Math.round(performance.now() - fromMs);
  return { 'scans/s': rate, 'verdict after the clock was set, ms': judged, ...(await verified(lab)) };
}

/** A bug in a callback: the process ends with 70, and the next life loses nothing. */
async function unhandledRejection(): Promise<Figures> {
  const trigger = "process.on('SIGUSR2', () => void Promise.reject(new Error('injected')))";
  const url = `data:text/javascript,${encodeURIComponent(trigger)}`;
  await using lab = await FaultLab.start({ env: { NODE_OPTIONS: `--import ${url}` } });
  const { agent } = lab;
  agent.child.kill('SIGUSR2');
  const fromMs = performance.now();
  const code = await agent.ended();
  if (code !== 70) throw new Error(`exit code ${code}, expected 70`);
  return { 'exit code': code, 'ended after ms': Math.round(performance.now() - fromMs), ...(await verified(lab)) };
}

/** A small file system of its own, which another program fills. */
async function fullFileSystem(): Promise<Figures> {
  return await onFileSystem(async (lab) => {
    const filler = join(lab.folder.path, 'filler');
    fill(filler);
    const reported = await lab.until(
      'the full disk is reported',
      async () => 'outbox' in ((await lab.troubles()) ?? {}),
    );
    const rate = await lab.scanRate(2_000);
    rmSync(filler);
    const recovered = await lab.until('the outbox is ok', async () => {
      const troubles = await lab.troubles();
      return troubles !== undefined && !('outbox' in troubles);
    });
    return { 'reported after ms': reported, 'scans/s': rate, 'ok after ms': recovered };
  });
}

/** The history on a small file system of its own: samples wait in memory, and records do not notice. */
async function fullHistoryFileSystem(): Promise<Figures> {
  const diskOf = (folder: string): string => join(folder, 'history-disk');
  const mount = (folder: string) => {
    const disk = diskOf(folder);
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8000000', 'none', disk]);
    symlinkSync(join(disk, 'history.db'), join(folder, 'history.db'));
    return () => execFileSync('umount', ['-l', disk]);
  };
  await using lab = await FaultLab.start({ mount });
  const isHistoryOk = async () => !('history' in ((await lab.troubles()) ?? { history: '' }));
  await lab.until('the history is ok', isHistoryOk);
  const filler = join(diskOf(lab.folder.path), 'filler');
  fill(filler);
  const reported = await lab.until('the waiting samples are reported', async () =>
    /\d samples wait in memory/.test((await lab.troubles())?.['history'] ?? ''),
  );
  const rate = await lab.scanRate(2_000);
  await lab.nextJudged();
  if ('outbox' in ((await lab.troubles()) ?? {})) throw new Error('the full disk of the history disturbs the outbox');
  rmSync(filler);
  const recovered = await lab.until('the history is ok', isHistoryOk);
  const dropped = await lab.metric('andon_history_samples_dropped_total');
  if (dropped !== 0) throw new Error(`${dropped} samples were dropped`);
  const figures = {
    'reported after ms': reported,
    'scans/s': rate,
    'ok after ms': recovered,
    'samples dropped': dropped,
  };
  return { ...figures, ...(await verified(lab)) };
}

async function readOnlyBoot(): Promise<Figures> {
  return await onFileSystem(async (lab) => {
    await lab.agent.end('SIGTERM');
    execFileSync('mount', ['-o', 'remount,ro', lab.folder.path]);
    await lab.launch();
    const [rate, troubles] = [await lab.scanRate(2_000), Object.keys((await lab.troubles()) ?? {})];
    execFileSync('mount', ['-o', 'remount,rw', lab.folder.path]);
    const recovered = await lab.until(
      'the outbox is ok',
      async () => !('outbox' in ((await lab.troubles()) ?? { outbox: '' })),
    );
    return { 'scans/s': rate, reported: troubles.join(', '), 'ok after ms': recovered };
  });
}

/** The daemon continues on a file system that the kernel has made read-only; after its repair and a restart, nothing is missing. */
async function readOnlyInUse(): Promise<Figures> {
  using files = new FailingFileSystem();
  const mount = (folder: string) => {
    files.mount(folder);
    return () => files.unmount();
  };
  await using lab = await FaultLab.start({ mount });
  files.sync();
  await lab.scanRate(2_000);
  files.fail();
  const reported = await lab.until('it is reported', async () => 'outbox' in ((await lab.troubles()) ?? {}));
  const rate = await lab.scanRate(2_000);
  await lab.agent.end('SIGTERM');
  files.repair();
  await lab.restart();
  const result = await lab.verify();
  const underWay = await lastOfTheirEpoch(lab, result.lost);
  throwIfBroken({ ...result, lost: result.lost.filter((id) => !underWay.includes(id)) });
  return {
    'reported after ms': reported,
    'scans/s': rate,
    stored: result.stored,
    'ids used twice': 0,
    'lost of the commit under way': underWay.length,
  };
}

/**
 * Returns the ids after which their epoch has no record: ext4 may lose the commit that is under way when it fails, although
 * fdatasync reported it as synced.
 */
async function lastOfTheirEpoch(lab: FaultLab, ids: readonly string[]): Promise<readonly string[]> {
  const stored = (await outboxRecords(lab.folder)).map(({ id }) => placeOf(id));
  return ids.filter((id) => {
    const lost = placeOf(id);
    return stored.every(({ epoch, sequence }) => epoch !== lost.epoch || sequence < lost.sequence);
  });
}

type ArrivedRecord = { readonly id: string; readonly kind: string; readonly count?: number };

/** A small outbox whose uplink is down: the metric, the loss records and the records that are missing at the receiver agree. */
async function overflow(): Promise<Figures> {
  const maxSize = 1_000_000;
  await using lab = await FaultLab.start({ scanInterval: '10ms', outbox: { maxSize: `${maxSize}B` } });
  const lost = () => lab.metric('andon_uplink_records_lost_total');
  await lab.broker.stop();
  await lab.until('records are dropped', async () => (await lost()) > 2_000, 300_000);
  const bytes = ['', '-wal', '-shm'].reduce(
    (sum, part) => sum + statSync(join(lab.folder.path, `outbox.db${part}`)).size,
    0,
  );
  if (bytes > maxSize) throw new Error(`the outbox has ${bytes} bytes, more than outbox.maxSize`);
  await lab.broker.listen();
  const atCloud = () => lab.broker.on('andon/v1/edge/records').flat() as readonly ArrivedRecord[];
  const reported = () => {
    const counts = new Map(atCloud().flatMap(({ id, kind, count = 0 }) => (kind === 'loss' ? [[id, count]] : [])));
    return [...counts.values()].reduce((sum, count) => sum + count, 0);
  };
  await lab.until(
    'the loss records have arrived',
    async () => reported() > 0 && reported() === (await lost()),
    120_000,
  );
  const counted = await lost();
  const others = (records: readonly ArrivedRecord[]) =>
    new Set(records.filter(({ kind }) => kind !== 'loss' && kind !== 'start').map(({ id }) => id));
  await lab.agent.end('SIGTERM');
  const received = others(atCloud());
  const newest = Math.max(...[...received].map((id) => Number(id.split('/')[2])));
  const missing = [...others(lab.lake.stored)].filter((id) => Number(id.split('/')[2]) < newest && !received.has(id));
  if (missing.length !== counted)
    throw new Error(`${missing.length} records are missing, and ${counted} were reported`);
  return {
    'lost by the metric': counted,
    'in loss records': reported(),
    'missing at the receiver': missing.length,
    'bytes of all files': bytes,
  };
}

/** An older program finds a database of a later version: it leaves the file as it is, and ends with 78. */
async function downgrade(): Promise<Figures> {
  await using lab = await FaultLab.start();
  await lab.scanRate(1_000);
  await lab.agent.end('SIGTERM');
  const path = join(lab.folder.path, 'outbox.db');
  const version = setVersion(path, 99);
  const before = readFileSync(path);
  const older = AgentProcess.spawn(lab.folder.configFile);
  const code = await older.ended();
  if (code !== 78) throw new Error(`exit code ${code}, expected 78: ${older.stderr}`);
  if (!readFileSync(path).equals(before)) throw new Error('the file was changed');
  setVersion(path, version);
  await lab.restart();
  return { 'exit code': code, 'file changed': 'no', ...(await verified(lab)) };
}

function setVersion(path: string, version: number): number {
  const database = new Database(path);
  const before = Number(database.pragma('user_version', { simple: true }));
  database.pragma(`user_version = ${version}`);
  database.close();
  return before;
}

async function onFileSystem(work: (lab: FaultLab) => Promise<Figures>): Promise<Figures> {
  await using lab = await FaultLab.start({ fileSystemBytes: 24e6 });
  const figures = await work(lab);
  return { ...figures, ...(await verified(lab)) };
}

function fill(path: string): void {
  const block = Buffer.alloc(65_536, 1);
  for (let size = block.length; size >= 512; size = Math.floor(size / 2)) {
    try {
      for (;;) writeFileSync(path, block.subarray(0, size), { flag: 'a' });
    } catch {
      // Full for this size. Smaller blocks fill the rest.
    }
  }
}

/** Bytes flipped and files cut at random while the daemon is stopped; no id may be used twice, and it always starts. */
async function damagedFiles(seed: number): Promise<Figures> {
  const random = seededRandom(seed);
  await using lab = await FaultLab.start();
  const rounds = 8;
  for (let round = 0; round < rounds; round += 1) {
    await lab.scanRate(1_500);
    await lab.agent.end(round % 2 === 0 ? 'SIGTERM' : 'SIGKILL');
    damage(lab.folder.path, random);
    await lab.restart();
  }
  const { usedTwice, gaps, stored } = await lab.verify();
  if (usedTwice.length > 0) throw new Error(`ids used twice: ${usedTwice.slice(0, 3).join(', ')}`);
  return {
    rounds,
    'ids used twice': usedTwice.length,
    'unexplained gaps': gaps.length,
    stored,
    epochs: await lab.epochs(),
  };
}

function damage(folder: string, random: () => number): void {
  const files = readdirSync(folder).filter((name) => /\.(db|db-wal|high-water)$/.test(name));
  const path = join(folder, files[Math.floor(random() * files.length)] ?? 'outbox.db');
  const { size } = statSync(path);
  if (size === 0) return;
  if (random() < 0.4) return truncateSync(path, Math.floor(random() * size));
  const bytes = readFileSync(path);
  for (let flips = 0; flips < 20; flips += 1) {
    const at = Math.floor(random() * size);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  }
  writeFileSync(path, bytes);
}

/** Idle, half headers, slow bodies and reconnects, at both endpoints. */
async function hostileConnections(): Promise<Figures> {
  const [quiet, first, second] = await attackTwice(1_000, 100);
  const megabytes = (key: 'agentBytes' | 'modelServerBytes') =>
    [first[key] - quiet[key], second[key] - first[key]].map((bytes) => Math.round(bytes / 1e6)).join(', then ');
  return {
    connections: first.connections + second.connections,
    answers: first.answers + second.answers,
    'slowest answer, ms': `${Math.max(first.slowestMs, second.slowestMs)}, before ${quiet.slowestMs}`,
    'missed scans': `${first.missedScans + second.missedScans}, before ${quiet.missedScans}`,
    'agent grows by MB': megabytes('agentBytes'),
    'model server grows by MB': megabytes('modelServerBytes'),
  };
}

/** Malformed and incomplete TLS: each connection is closed, and the daemon continues. */
async function malformedTls(seed: number): Promise<Figures> {
  await using certificates = TestCertificates.make();
  await using plant = await CrashPlant.start();
  using folder = new AgentFolder();
  const { cert, key } = certificates.server;
  folder.configure({
    ...plant.sections('100ms'),
    watches: { level: { model: 'echo', tags: ['level'], window: { step: '100ms', maxAge: '10s' } } },
    http: { listen: '127.0.0.1:0', requestTimeout: '1s', maxConnections: 400, tls: { cert, key } },
  });
  await using agent = await AgentProcess.start(folder.configFile);
  const [fromMs, scans] = [performance.now(), plant.plc.requests.length];
  const { connections, answers } = await fuzzTls(agent.httpUrl, seed, 5_000);
  const front = await fuzzFront(agent.httpUrl, 'x-none: 1', seed, 20_000);
  const seconds = (performance.now() - fromMs) / 1000;
  if (front.faults.length > 0) throw new Error(front.faults.join('; '));
  if (agent.child.exitCode !== null || agent.stderr !== '') throw new Error(`the daemon ended: ${agent.stderr}`);
  return {
    connections: Object.values(connections).reduce((sum, count) => sum + count, 0),
    'answers after renegotiation': answers,
    'requests over TLS': front.requests,
    'scans/s': Math.round((10 * (plant.plc.requests.length - scans)) / seconds) / 10,
  };
}

/** Malformed and ambiguous requests over sockets: none is answered twice, and the daemon continues. */
async function malformedRequests(seed: number): Promise<Figures> {
  const token = 'token-of-an-operator';
  await using plant = await CrashPlant.start();
  using folder = new AgentFolder();
  folder.configure({
    ...plant.sections('100ms'),
    watches: { level: { model: 'echo', tags: ['level'], window: { step: '100ms', maxAge: '10s' } } },
    http: { listen: '127.0.0.1:0', token: { env: 'ANDON_TEST_TOKEN' }, requestTimeout: '1s' },
  });
  await using agent = await AgentProcess.start(folder.configFile, { ANDON_TEST_TOKEN: token });
  const [fromMs, scans] = [performance.now(), plant.plc.requests.length];
  const report = await fuzzFront(agent.httpUrl, `Authorization: Bearer ${token}`, seed, 100_000);
  const seconds = (performance.now() - fromMs) / 1000;
  if (report.faults.length > 0) throw new Error(report.faults.join('; '));
  if (agent.child.exitCode !== null || agent.stderr !== '') throw new Error(`the daemon ended: ${agent.stderr}`);
  return {
    requests: report.requests,
    answers: JSON.stringify(report.answers),
    'requests/s': Math.round(report.requests / seconds),
    'scans/s': Math.round((10 * (plant.plc.requests.length - scans)) / seconds) / 10,
  };
}

async function verified(lab: FaultLab): Promise<Figures> {
  const result = await lab.verify();
  throwIfBroken(result);
  return { stored: result.stored, 'records lost without a loss record': 0, 'ids used twice': 0 };
}

function throwIfBroken(result: Verification): void {
  const broken = brokenPromises(result);
  if (broken.length > 0) throw new Error(`${broken.length} broken promises: ${broken.slice(0, 5).join('; ')}`);
}

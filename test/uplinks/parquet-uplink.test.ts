import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import { expect, onTestFinished, test } from 'vitest';
import type { z } from 'zod';
import type { RecordDraft } from '../../src/domain/record/record.ts';
import { parquetUplinkSchema } from '../../src/uplinks/parquet/parquet-config.ts';
import { createParquetUplink } from '../../src/uplinks/parquet/parquet-uplink.ts';
import { importedPackages } from '../support/imported-packages.ts';
import { MemoryRecordStore } from '../support/memory-record-store.ts';
import { describeWith, pythonWith } from '../support/programs.ts';
import { testDeps } from '../support/test-deps.ts';

const TIME_MS = Date.UTC(2026, 10, 30, 23, 59, 59);
const quick = { retry: { first: '10ms', max: '20ms' }, every: '100ms', stopTimeout: '5s' } as const;

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'andon-parquet-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function uplinkInto(
  folder: string,
  store: MemoryRecordStore,
  config: Partial<z.input<typeof parquetUplinkSchema>> = {},
) {
  const deps = testDeps();
  const parsed = parquetUplinkSchema.parse({ type: 'parquet', folder, ...quick, ...config });
  const uplink = createParquetUplink({ id: 'files', agentId: 'edge-01', config: parsed, records: store, deps });
  const health = () => deps.health.components().find(({ name }) => name === 'uplink/files');
  return { uplink, health };
}

async function written(
  folder: string,
  store: MemoryRecordStore,
  config: Partial<z.input<typeof parquetUplinkSchema>> = {},
) {
  const { uplink } = uplinkInto(folder, store, config);
  await using _uplink = uplink;
  uplink.start();
  await expect.poll(() => store.waiting('files'), { timeout: 60_000 }).toBe(0);
}

function sample(offsetMs: number, values: object): RecordDraft {
  return { kind: 'sample', timestampMs: TIME_MS + offsetMs, body: { values }, alarm: undefined };
}

function verdict(offsetMs: number, body: object): RecordDraft {
  const timestampMs = TIME_MS + offsetMs;
  return { kind: 'verdict', timestampMs, watch: 'filler-1', body: { watch: 'filler-1', ...body }, alarm: undefined };
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.includes('.'))
    .toSorted();
}

async function rowsOf(path: string) {
  const bytes = readFileSync(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  return parquetReadObjects({ file });
}

const drafts = [
  sample(0, { 'pump-1.pressure': [3.25, 'good'], 'pump-1.flow': [null, 'bad', 15] }),
  verdict(500, {
    score: 2.5,
    threshold: 3,
    verdict: 'normal',
    model: 'm',
    version: 4,
    tags: { a: 1 },
    quality: { a: 'good' },
  }),
  verdict(1000, { score: null, threshold: null, verdict: 'unknown', reason: 'stale', model: null, version: null }),
];

test('records are files by kind and day, and the manifest lists each with its checksum', async () => {
  const folder = temporaryFolder();
  const store = new MemoryRecordStore();
  await store.append(drafts);
  await written(folder, store);
  expect(filesIn(folder)).toEqual([
    'date=2026-11-30/manifest.json',
    'date=2026-11-30/sample-e1-000000000001.parquet',
    'date=2026-11-30/verdict-e1-000000000002.parquet',
    'date=2026-12-01/manifest.json',
    'date=2026-12-01/verdict-e1-000000000003.parquet',
  ]);
  const { files } = JSON.parse(readFileSync(join(folder, 'date=2026-11-30/manifest.json'), 'utf8'));
  expect(files).toMatchObject([
    { name: 'sample-e1-000000000001.parquet', kind: 'sample', records: 1, first: 'edge-01/e1/1', last: 'edge-01/e1/1' },
    { name: 'verdict-e1-000000000002.parquet', kind: 'verdict', records: 1 },
  ]);
  expect(await rowsOf(join(folder, 'date=2026-12-01/verdict-e1-000000000003.parquet'))).toMatchObject([
    {
      id: 'edge-01/e1/3',
      time: new Date(TIME_MS + 1000),
      score: null,
      verdict: 'unknown',
      reason: 'stale',
      version: null,
    },
  ]);
});

test('after a crash before the acknowledgement the same records get the same files', async () => {
  const folder = temporaryFolder();
  const before = new MemoryRecordStore();
  await before.append(drafts);
  await written(folder, before);
  // Half a file of the crash, and records that were stored since.
  const day = join(folder, 'date=2026-11-30');
  writeFileSync(join(day, 'verdict-e1-000000000002.parquet.new'), 'PAR1');
  const after = new MemoryRecordStore();
  await after.append([...drafts, verdict(600, { score: 7, verdict: 'normal' })]);
  await written(folder, after);
  expect(readdirSync(day).toSorted()).toEqual([
    'manifest.json',
    'sample-e1-000000000001.parquet',
    'verdict-e1-000000000002.parquet',
  ]);
  const rows = await rowsOf(join(day, 'verdict-e1-000000000002.parquet'));
  expect(rows.map(({ id }) => id)).toEqual(['edge-01/e1/2', 'edge-01/e1/4']);
});

test('the oldest days are removed for the size and the age of the folder, and other files stay', async () => {
  const folder = temporaryFolder();
  for (const day of ['date=2026-10-01', 'date=2026-11-28', 'date=2026-11-29', 'notes']) {
    mkdirSync(join(folder, day));
    writeFileSync(join(folder, day, 'x.parquet'), Buffer.alloc(100_000));
  }
  const store = new MemoryRecordStore();
  await store.append(drafts.slice(0, 1));
  await written(folder, store, { maxSize: '150kB' });
  expect(readdirSync(folder).toSorted()).toEqual(['date=2026-11-29', 'date=2026-11-30', 'notes']);
});

test('a day that fills the folder alone is removed once the next day begins', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'date=2026-11-29'));
  writeFileSync(join(folder, 'date=2026-11-29', 'x.parquet'), Buffer.alloc(200_000));
  const store = new MemoryRecordStore();
  await store.append(drafts.slice(0, 1));
  await written(folder, store, { maxSize: '150kB' });
  expect(readdirSync(folder)).toEqual(['date=2026-11-30']);
});

test('a folder that cannot be written makes it degraded, and it recovers automatically', async () => {
  const folder = join(temporaryFolder(), 'parquet');
  // A file in the place of the folder, also for root.
  writeFileSync(folder, '');
  const store = new MemoryRecordStore();
  await store.append(drafts);
  const { uplink, health } = uplinkInto(folder, store);
  await using _uplink = uplink;
  uplink.start();
  await expect.poll(() => health()?.reason, { timeout: 60_000 }).toMatch(/EEXIST|ENOTDIR/);
  expect(health()?.status).toBe('degraded');
  rmSync(folder);
  await expect.poll(() => store.waiting('files'), { timeout: 60_000 }).toBe(0);
  await expect.poll(() => health()?.status).toBe('ok');
});

test('before start nothing is written, and it can be disposed of twice', async () => {
  const folder = join(temporaryFolder(), 'parquet');
  const { uplink } = uplinkInto(folder, new MemoryRecordStore());
  await uplink[Symbol.asyncDispose]();
  await uplink[Symbol.asyncDispose]();
  expect(existsSync(folder)).toBe(false);
});

test('the code that every agent loads does not load the library for Parquet', () => {
  const entry = new URL('../../src/uplinks/parquet/parquet-uplink.ts', import.meta.url);
  expect(importedPackages(entry)).not.toContain('hyparquet-writer');
});

const python = pythonWith('pyarrow', 'pyarrow');
describeWith([python], 'pyarrow', () => {
  test('reads the folder as one table with the day as a column', async () => {
    const folder = temporaryFolder();
    const store = new MemoryRecordStore();
    await store.append(drafts);
    await written(folder, store);
    const program = `
import glob, json, sys
import pyarrow.dataset as ds
files = sorted(glob.glob(sys.argv[1] + '/*/verdict-*.parquet'))
table = ds.dataset(files, partitioning=ds.partitioning(flavor='hive'), partition_base_dir=sys.argv[1]).to_table()
samples = ds.dataset(glob.glob(sys.argv[1] + '/*/sample-*.parquet')).to_table()
print(json.dumps({
  'time': str(table.schema.field('time').type), 'score': table['score'].to_pylist(), 'version': table['version'].to_pylist(),
  'tags': [None if v is None else json.loads(v) for v in table['tags'].to_pylist()], 'date': [str(v) for v in table['date'].to_pylist()],
  'value': samples['value'].to_pylist(), 'tag': samples['tag'].to_pylist(), 'quality': samples['quality'].to_pylist()}))`;
    const read = JSON.parse(execFileSync(python, ['-c', program, folder], { encoding: 'utf8', cwd: tmpdir() }));
    expect(read).toEqual({
      time: 'timestamp[ms, tz=UTC]',
      score: [2.5, null],
      version: [4, null],
      tags: [{ a: 1 }, null],
      date: ['2026-11-30', '2026-12-01'],
      value: [3.25, null],
      tag: ['pump-1.pressure', 'pump-1.flow'],
      quality: ['good', 'bad'],
    });
  });
});

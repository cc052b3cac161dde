import Database from 'better-sqlite3';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { StoredRecord } from '../../src/domain/record/record.ts';
import { openFormatted } from '../../src/outbox/file/database-format.ts';
import { HighWaterFile, inodeOf } from '../../src/outbox/file/high-water.ts';
import { rowChecksum } from '../../src/outbox/file/row-checksum.ts';
import { exportRecords } from '../../src/outbox/records/outbox-reader.ts';
import { outboxFormat } from '../../src/outbox/records/outbox-schema.ts';
import {
  alarmDraft,
  draft,
  drainStorage,
  numberOf,
  openStorage,
  testFolder,
  type TestStorage,
} from './outbox-fixture.ts';
import { columnDraft } from './verdict-fixture.ts';

const path = (folder: string) => join(folder, 'outbox.db');
const day = 86_400_000;
const base = 1_800_000_000_000;

function tagsOf({ body }: StoredRecord): unknown {
  return (JSON.parse(body) as { readonly tags: unknown }).tags;
}

function changeFile(folder: string, sql: string): void {
  const database = new Database(path(folder));
  database.exec(sql);
  database.close();
}

describe('a file of format 1', () => {
  const body = (number: number) => `{"number":${number},"tags":{"a":${number}},"quality":{"a":"good"}}`;

  /** A file as andon 0.1 left it: ten verdicts, of which the uplink has acknowledged three. */
  function fileOfFormat1(): string {
    const folder = testFolder();
    const database = openFormatted(path(folder), 64e6, {
      ...outboxFormat,
      migrations: outboxFormat.migrations.slice(0, 1),
    });
    database.prepare("INSERT INTO epoch VALUES (1, 'old', 0)").run();
    database.prepare("INSERT INTO cursor VALUES ('cloud', '[[3,null]]')").run();
    const insert = database.prepare(
      "INSERT INTO outbox (sequence, kind, watch, timestamp, checksum, body) VALUES (?, 'verdict', 'pump-1', ?, ?, ?)",
    );
    for (let number = 1; number <= 10; number += 1) {
      const row = { sequence: number, kind: 'verdict', watch: 'pump-1', timestamp: base + number } as const;
      const checksum = rowChecksum('old', { ...row, body: body(number), names: null, original_id: null });
      insert.run(number, row.timestamp, checksum, body(number));
    }
    database.close();
    const mark = { epoch: 'old', sequence: 10, delivered: 3, boot: '', inode: inodeOf(path(folder)), clean: true };
    const highWater = new HighWaterFile(`${path(folder)}.high-water`);
    highWater.begin(mark);
    highWater.close();
    return folder;
  }

  test('opens, continues its epoch, and its undelivered records are delivered unchanged', () => {
    const folder = fileOfFormat1();
    const storage = openStorage(folder);
    expect(storage.opened.epochsStarted).toBe(0);
    // Sequence 11 is the record of this start.
    expect(storage.append(columnDraft(11))).toEqual(['edge-01/old/12']);
    const sent = drainStorage(storage);
    expect(sent.map(({ id }) => id)).toEqual([4, 5, 6, 7, 8, 9, 10, 12].map((number) => `edge-01/old/${number}`));
    expect(sent.slice(0, 7).map((record) => record.body)).toEqual([4, 5, 6, 7, 8, 9, 10].map(body));
    expect(tagsOf(sent[7] as StoredRecord)).toEqual({ a: 11, b: 11.5 });
    storage.stop();
  });

  test('has its verdicts in the history of their watch', () => {
    const storage = openStorage(fileOfFormat1());
    storage.append(columnDraft(11));
    const found = storage.history({ watch: 'pump-1', kind: 'verdict', fromMs: base + 9, toMs: base + 11, limit: 10 });
    expect(found.map(({ sequence }) => sequence)).toEqual([9, 10, 12]);
    storage.stop();
  });

  test('does not give an id again after every record has expired', () => {
    const folder = fileOfFormat1();
    const first = openStorage(folder);
    drainStorage(first);
    while (first.upkeep(base + 40 * day).more);
    expect(first.stats().records).toBe(0);
    first.stop();
    const second = openStorage(folder);
    expect(second.append(draft('verdict', 1))).toEqual(['edge-01/old/12']);
    second.stop();
  });

  test('is complete after kill -9 at any moment of its first start', { timeout: 120_000 }, async () => {
    for (let round = 0; round < 8; round += 1) {
      const folder = fileOfFormat1();
      await startKilled(folder, round);
      const storage = openStorage(folder);
      const old = drainStorage(storage).filter(({ id }) => id.startsWith('edge-01/old/') && numberOfId(id) <= 10);
      expect(old.map((record) => record.body)).toEqual([4, 5, 6, 7, 8, 9, 10].map(body));
      storage.stop();
    }
  });

  function numberOfId(id: string): number {
    return Number(id.split('/').at(-1));
  }

  /** Starts an outbox on the file in a process, and kills it some milliseconds after the copy of the old file begins. */
  async function startKilled(folder: string, afterMs: number): Promise<void> {
    const entry = fileURLToPath(new URL('append-until-killed.ts', import.meta.url));
    const child = spawn(process.execPath, [entry, folder], { stdio: ['ignore', 'ignore', 'inherit'] });
    const exited = once(child, 'exit');
    const backup = `${path(folder)}.v1-backup`;
    while (child.exitCode === null && !existsSync(backup) && !existsSync(`${backup}.new`))
      await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    child.kill('SIGKILL');
    await exited;
  }
});

describe('records as columns', () => {
  test('a value never appears under another tag: a row with the names of another watch is damaged', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(columnDraft(1, { tags: ['a', 'b'] }), columnDraft(2, { watch: 'pump-2', tags: ['c', 'd'] }));
    first.stop();
    changeFile(folder, 'UPDATE outbox SET names = (SELECT names FROM outbox WHERE sequence = 2) WHERE sequence = 1');
    const second = openStorage(folder);
    expect(drainStorage(second).map(tagsOf)).toEqual([{ c: 2, d: 2.5 }]);
    expectLoss(second, { reason: 'row-damaged', from: 1, to: 1, count: 1 });
    second.stop();
  });

  test('a damaged body does not shift the columns of the rows that are read with it', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(...[1, 2, 3, 4, 5].map((number) => columnDraft(number)));
    first.stop();
    changeFile(folder, 'UPDATE outbox SET body = 5, names = NULL WHERE sequence = 2');
    changeFile(folder, "UPDATE outbox SET body = substr(body, 2) || x'00' WHERE sequence = 4");
    const second = openStorage(folder);
    expect(drainStorage(second).map(tagsOf)).toEqual([1, 3, 5].map((number) => ({ a: number, b: number + 0.5 })));
    second.stop();
  });

  test.each([
    ['checksum', "x'00ff'"],
    ['checksum', "'text'"],
    ['names', "x'00ff'"],
    ['timestamp', "x'00ff'"],
    ['timestamp', '1800000000002.5'],
    ['body', "'{}'"],
    ['kind', "'verdikt'"],
    ['watch', "'pump-2'"],
    ['original_id', "'other/epoch/1'"],
  ])('a row whose %s became %s is lost alone, and the rows that are read with it arrive', (column, value) => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(...[1, 2, 3].map((number) => columnDraft(number)));
    first.stop();
    changeFile(folder, `UPDATE outbox SET ${column} = ${value} WHERE sequence = 2`);
    const second = openStorage(folder);
    expect(drainStorage(second).map(tagsOf)).toEqual([1, 3].map((number) => ({ a: number, b: number + 0.5 })));
    second.stop();
  });

  test('records of other kinds between verdicts with columns keep their place', () => {
    const storage = openStorage(testFolder());
    storage.append(columnDraft(1), draft('sample', 2), columnDraft(3), alarmDraft(4), columnDraft(5));
    expect(drainStorage(storage).map(({ kind }) => kind)).toEqual(['verdict', 'sample', 'verdict', 'alarm', 'verdict']);
    storage.stop();
  });

  test('names with another order of tags are damage, also if they have the hash of the row', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(columnDraft(1));
    first.stop();
    for (const table of ['names', 'names_copy'])
      changeFile(folder, `UPDATE ${table} SET text = replace(text, '["a","b"]', '["b","a"]')`);
    const second = openStorage(folder);
    expect(drainStorage(second)).toEqual([]);
    expectLoss(second, { reason: 'row-damaged', from: 1, to: 1, count: 1 });
    second.stop();
  });

  test('one damaged copy of the names costs nothing', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(columnDraft(1));
    first.stop();
    changeFile(folder, `UPDATE names SET text = replace(text, '"a"', '"x"')`);
    const second = openStorage(folder);
    expect(drainStorage(second).map(tagsOf)).toEqual([{ a: 1, b: 1.5 }]);
    second.stop();
  });

  test('a flipped bit in a value or in the number of bad qualities is damage', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    const verdict = columnDraft(1);
    first.append(verdict, columnDraft(2));
    first.stop();
    const file = readFileSync(path(folder));
    const at = file.indexOf(verdict.columns?.bytes ?? '');
    file[at] = 1;
    writeFileSync(path(folder), file);
    const second = openStorage(folder);
    expect(drainStorage(second).map(tagsOf)).toEqual([{ a: 2, b: 2.5 }]);
    second.stop();
  });

  test('salvage keeps them, with their names', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    const ids = Array.from({ length: 400 }, (_, index) => first.append(columnDraft(index))[0]);
    first.append(alarmDraft(1));
    first.stop();
    const bytes = readFileSync(path(folder));
    const hurt = bytes.indexOf(columnDraft(200).columns?.bytes ?? '');
    bytes.fill(0xff, hurt - (hurt % 4096), hurt - (hurt % 4096) + 4096);
    writeFileSync(path(folder), bytes);
    const second = openStorage(folder);
    expect(second.opened.outbox.status).toBe('degraded');
    for (let slices = 0; second.upkeep().more && slices < 1000; slices += 1);
    const verdicts = drainStorage(second).filter(({ kind }) => kind === 'verdict');
    expect(verdicts.length).toBeGreaterThan(200);
    for (const record of verdicts) {
      const number = ids.indexOf(record.id);
      expect(tagsOf(record)).toEqual({ a: number, b: number + 0.5 });
      expect(record.watch).toBe('pump-1');
    }
    second.stop();
  });

  test('names are deleted with the last record that has them', () => {
    const folder = testFolder();
    const storage = openStorage(folder);
    storage.append(columnDraft(0, { watch: 'old-pump' }));
    for (let number = 1; number < 9000; number += 500)
      storage.append(...Array.from({ length: 500 }, (_, index) => columnDraft(number + index)));
    drainStorage(storage);
    while (storage.upkeep(base + 8 * day).more);
    storage.append(columnDraft(9001));
    storage.stop();
    const database = new Database(path(folder), { readonly: true });
    for (const table of ['names', 'names_copy'])
      expect(database.prepare(`SELECT count(*) FROM ${table} WHERE text LIKE '%old-pump%'`).pluck().get()).toBe(0);
    database.close();
  });

  test('the export has them as JSON with names', async () => {
    const folder = testFolder();
    const storage = openStorage(folder);
    storage.append(columnDraft(1));
    storage.stop();
    const records = await Array.fromAsync(exportRecords({ path: path(folder), agentId: 'edge-01' }));
    expect(records.map(tagsOf)).toEqual([{ a: 1, b: 1.5 }]);
  });

  function expectLoss(storage: TestStorage, loss: object): void {
    storage.upkeep(base + 20_000);
    const [record] = drainStorage(storage);
    expect(JSON.parse(record?.body ?? '{}')).toMatchObject(loss);
  }
});

describe('the history of a watch', () => {
  test('is the same before and after its index is written, for any order of times', () => {
    const folder = testFolder();
    const storage = openStorage(folder, { config: { commitRowsMax: 500 } });
    const all: { readonly number: number; readonly watch: string }[] = [];
    for (let number = 0; number < 9500; number += 500) {
      // The clock was set back by five seconds at number 5000.
      const drafts = Array.from({ length: 500 }, (_, index) => {
        const at = number + index < 5000 ? number + index : number + index - 5000 + 0.5;
        const watch = `pump-${(index % 3) + 1}`;
        all.push({ number: at, watch });
        return columnDraft(at, { watch });
      });
      storage.append(...drafts);
    }
    const queries = [
      { fromMs: base, toMs: base + 20_000, limit: 100_000 },
      { fromMs: base + 1000, toMs: base + 1100, limit: 1000 },
      { fromMs: base + 100, toMs: base + 20_000, limit: 7 },
      { fromMs: base - 10, toMs: base - 1, limit: 7 },
    ].flatMap((query) =>
      ['pump-2', undefined].flatMap((watch) =>
        [false, true].map((newestFirst) => ({ watch, newestFirst, kind: 'verdict' as const, ...query })),
      ),
    );
    const expected = queries.map(({ watch, newestFirst, fromMs, toMs, limit }) =>
      all
        .filter((one) => watch === undefined || one.watch === watch)
        .map(({ number }) => base + number)
        .filter((atMs) => atMs >= fromMs && atMs <= toMs)
        .toSorted((a, b) => (newestFirst ? b - a : a - b))
        .slice(0, limit),
    );
    const found = () => queries.map((query) => storage.history(query).map(({ timestampMs }) => timestampMs));
    expect(found()).toEqual(expected);
    while (storage.upkeep().more);
    const database = new Database(path(folder), { readonly: true });
    expect(database.prepare('SELECT bucket FROM history_index ORDER BY bucket').pluck().all()).toEqual([0, 1]);
    database.close();
    expect(found()).toEqual(expected);
    storage.stop();
  });

  test('has the alarms of limits and diagnostics, which have no watch', () => {
    const storage = openStorage(testFolder());
    storage.append(draft('alarm', 1));
    for (let number = 2; number < 5000; number += 500)
      storage.append(...Array.from({ length: 500 }, (_, index) => draft('verdict', number + index)));
    const query = { watch: undefined, kind: 'alarm' as const, fromMs: base, toMs: base + 9000, limit: 9 };
    expect(storage.history(query).map(numberOf)).toEqual([1]);
    while (storage.upkeep().more);
    expect(storage.history(query).map(numberOf)).toEqual([1]);
    storage.stop();
  });

  test('is complete with a damaged index', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    for (let number = 0; number < 5000; number += 500)
      first.append(...Array.from({ length: 500 }, (_, index) => draft('verdict', number + index)));
    while (first.upkeep().more);
    first.stop();
    changeFile(folder, `UPDATE history_index SET groups = replace(groups, '1', '2')`);
    const second = openStorage(folder);
    const found = second.history({ watch: 'pump-1', kind: 'verdict', fromMs: base, toMs: base + 9, limit: 100 });
    expect(found.map(numberOf)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    second.stop();
  });
});

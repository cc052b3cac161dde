import Database from 'better-sqlite3';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { openFormatted, openFormattedReadOnly } from '../../src/outbox/file/database-format.ts';
import {
  alarmDraft,
  draft,
  drainStorage,
  numberOf,
  openHistory,
  openStorage,
  startHistory,
  smallDisk,
  testFolder,
} from './outbox-fixture.ts';
import { testDeps } from '../support/test-deps.ts';
import { ITEMS, itemsFormat, itemsFormat1 } from './items-format.ts';

const pathIn = (folder: string) => join(folder, 'items.db');
const backupIn = (folder: string) => `${pathIn(folder)}.v1-backup`;
const sumOf = (database: Database.Database) => database.prepare('SELECT sum(value) FROM item').pluck().get();
const sumOfItems = (ITEMS * (ITEMS + 1)) / 2;

/** Creates a file of format 1 and returns its folder. */
function fileOfFormat1(): string {
  const folder = testFolder();
  openFormatted(pathIn(folder), 64e6, itemsFormat1).close();
  return folder;
}

const format1 = { version: 1, sum: sumOfItems };

function contentOf(path: string): unknown {
  const copy = new Database(path, { readonly: true });
  const content = { version: copy.pragma('user_version', { simple: true }), sum: sumOf(copy) };
  copy.close();
  return content;
}

describe('a migration', () => {
  test('changes the file and leaves a copy of the old one', () => {
    const folder = fileOfFormat1();
    expect(existsSync(backupIn(folder)), 'a new file has no copy').toBe(false);
    const database = openFormatted(pathIn(folder), 64e6, itemsFormat());
    expect([database.pragma('user_version', { simple: true }), sumOf(database)]).toEqual([2, 10 * sumOfItems]);
    database.close();
    expect(contentOf(backupIn(folder))).toEqual(format1);
  });

  test('runs once', () => {
    const folder = fileOfFormat1();
    openFormatted(pathIn(folder), 64e6, itemsFormat()).close();
    const database = openFormatted(pathIn(folder), 64e6, itemsFormat());
    expect(sumOf(database)).toBe(10 * sumOfItems);
    database.close();
  });

  test('finds the tables of a file without a version number, and keeps them', () => {
    const folder = fileOfFormat1();
    const old = new Database(pathIn(folder));
    old.pragma('user_version = 0');
    old.close();
    const database = openFormatted(pathIn(folder), 64e6, itemsFormat());
    expect(sumOf(database)).toBe(10 * sumOfItems);
    database.close();
  });

  test('has space in a file that is full, and limits the size again', () => {
    const folder = fileOfFormat1();
    const format = itemsFormat();
    const grown = { ...format, migrations: [...format.migrations, fillTable] };
    const database = openFormatted(pathIn(folder), 8192, grown);
    expect(database.prepare('SELECT count(*) FROM filler').pluck().get()).toBe(100);
    expect(() => database.exec('INSERT INTO filler SELECT hex(zeroblob(100000))')).toThrow(/full/);
    database.close();
  });

  test('that fails leaves the file as it was', () => {
    const folder = fileOfFormat1();
    const format = itemsFormat((row) => {
      if (row === 1000) throw new Error('no further');
    });
    expect(() => openFormatted(pathIn(folder), 64e6, format)).toThrow('no further');
    expect(contentOf(pathIn(folder))).toEqual(format1);
  });

  test('does not begin without space for the copy, and says how much it needs', ({ skip }) => {
    const folder = smallDisk();
    if (folder === undefined) return skip('needs the right to mount a tmpfs');
    openFormatted(pathIn(folder), 64e6, itemsFormat1).close();
    expect(() => openFormatted(pathIn(folder), 64e6, itemsFormat())).toThrow(
      expect.objectContaining({
        code: 'database-needs-space',
        message: expect.stringMatching(/needs 3\.\d MB of free space/) as unknown,
      }),
    );
    expect(contentOf(pathIn(folder))).toEqual(format1);
  });
});

function fillTable(database: Database.Database): void {
  database.exec('CREATE TABLE filler (text TEXT)');
  const add = database.prepare('INSERT INTO filler (text) VALUES (?)');
  for (let row = 0; row < 100; row += 1) add.run('x'.repeat(4000));
}

describe('kill -9 during a migration', () => {
  /*
   * Invariant: the next start finds the complete file of one format and migrates it to the end; a copy that has its
   * name is complete. Method: a real process stops inside the transaction, or at a random moment (the copy included),
   * and gets SIGKILL there.
   */
  test.each([1, ITEMS / 2, ITEMS])('before row %i of the transaction leaves the old file', async (row) => {
    const folder = fileOfFormat1();
    await killedMigration(folder, row);
    expect(contentOf(pathIn(folder))).toEqual(format1);
    expect(migrated(folder)).toEqual(allMigrated);
  });

  test('at any moment leaves a file that migrates', { timeout: 120_000 }, async () => {
    for (let round = 0; round < 12; round += 1) {
      const folder = fileOfFormat1();
      await killedMigration(folder, undefined, round * 2);
      const copy = existsSync(backupIn(folder)) ? contentOf(backupIn(folder)) : format1;
      expect(copy, 'a copy that has its name is complete').toEqual(format1);
      expect(migrated(folder)).toEqual(allMigrated);
    }
  });

  const allMigrated = {
    items: { version: 2, sum: 10 * sumOfItems },
    backup: format1,
    files: ['items.db', 'items.db.v1-backup'],
  };

  function migrated(folder: string): unknown {
    openFormatted(pathIn(folder), 64e6, itemsFormat()).close();
    const files = readdirSync(folder).toSorted();
    return { items: contentOf(pathIn(folder)), backup: contentOf(backupIn(folder)), files };
  }

  async function killedMigration(folder: string, row: number | undefined, afterMs = 0): Promise<void> {
    const entry = fileURLToPath(new URL('migrate-until-killed.ts', import.meta.url));
    const child = spawn(process.execPath, [entry, pathIn(folder), String(row ?? '')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const awaited = row === undefined ? 'opening' : 'halted';
    let output = '';
    for await (const text of child.stdout) {
      output += String(text);
      if (output.includes(awaited)) break;
    }
    if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
});

describe('a file of a later version', () => {
  test('is refused and not changed by a byte, with its WAL of a crash', () => {
    const folder = fileOfFormat1();
    const later = new Database(pathIn(folder));
    later.pragma('journal_mode = WAL');
    later.pragma('user_version = 7');
    const wal = readFileSync(`${pathIn(folder)}-wal`);
    const file = readFileSync(pathIn(folder));
    later.close();
    writeFileSync(pathIn(folder), file);
    writeFileSync(`${pathIn(folder)}-wal`, wal);
    expect(() => openFormatted(pathIn(folder), 64e6, itemsFormat())).toThrow(
      expect.objectContaining({ code: 'database-newer', message: expect.stringContaining('has format 7') as unknown }),
    );
    expect(readFileSync(pathIn(folder))).toEqual(file);
    expect(readFileSync(`${pathIn(folder)}-wal`)).toEqual(wal);
  });

  test('is refused with the name of the copy from before the upgrade', () => {
    const folder = fileOfFormat1();
    openFormatted(pathIn(folder), 64e6, itemsFormat()).close();
    expect(() => openFormatted(pathIn(folder), 64e6, itemsFormat1)).toThrow(`rename ${backupIn(folder)}`);
  });

  test('is refused by a reader, and so is a file that is not migrated yet', () => {
    const folder = fileOfFormat1();
    expect(() => openFormattedReadOnly(pathIn(folder), itemsFormat())).toThrow('Start the agent once');
    openFormatted(pathIn(folder), 64e6, itemsFormat()).close();
    expect(() => openFormattedReadOnly(pathIn(folder), itemsFormat1)).toThrow('has format 2');
  });

  test.each(['outbox.db', 'alarms.db'])('refuses the start: %s', (name) => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(draft('verdict', 1), alarmDraft(2));
    first.stop();
    setVersion(join(folder, name), 99);
    expect(() => openStorage(folder)).toThrow(expect.objectContaining({ code: 'database-newer' }));
    expect(existsSync(join(folder, `${name}.quarantine`))).toBe(false);
  });

  test('refuses the start: history.db', () => {
    const folder = testFolder();
    openHistory(folder).stop();
    setVersion(join(folder, 'history.db'), 99);
    expect(() => startHistory(folder, testDeps())).toThrow(expect.objectContaining({ code: 'database-newer' }));
    expect(existsSync(join(folder, 'history.db.quarantine'))).toBe(false);
  });
});

test('undelivered records of an alarms.db without a version number stay', () => {
  const folder = testFolder();
  const first = openStorage(folder);
  first.append(draft('verdict', 1), alarmDraft(2));
  first.stop();
  setVersion(join(folder, 'alarms.db'), 0);
  const second = openStorage(folder);
  expect(second.opened.outbox.status).toBe('ok');
  expect(second.alarms()).toHaveLength(1);
  expect(drainStorage(second).map(numberOf)).toEqual([1, 2]);
  second.stop();
});

function setVersion(path: string, version: number): void {
  const database = new Database(path);
  database.pragma(`user_version = ${version}`);
  database.close();
}

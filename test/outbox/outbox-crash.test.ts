import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import type { StoredRecord } from '../../src/domain/record/record.ts';
import { errorCode } from '../../src/platform/errors.ts';
import { outboxConfigSchema } from '../../src/outbox/file/outbox-config.ts';
import { OutboxFile } from '../../src/outbox/records/outbox-file.ts';
import { exportRecords } from '../../src/outbox/records/outbox-reader.ts';
import { alarmDraft, cloud, draft, drainStorage, numberOf, openStorage, testFolder } from './outbox-fixture.ts';

const path = (folder: string) => join(folder, 'outbox.db');
const lossesOf = (records: readonly StoredRecord[]) =>
  records
    .filter(({ kind }) => kind === 'loss')
    .map(
      ({ body }) =>
        JSON.parse(body) as {
          readonly reason: string;
          readonly from: number;
          readonly to: number;
          readonly count: number;
        },
    );

describe('the outbox process is killed', () => {
  /*
   * Invariant: an id that was returned to the process is in the outbox afterwards, no id is given twice, and no record is
   * said to be lost: SIGKILL loses nothing that was acknowledged. Method: a real process appends without end and
   * is killed at a random moment, twenty times over the same files.
   */
  test(
    'twenty times: nothing acknowledged is lost, no id is given twice, and no loss is claimed',
    { timeout: 300_000 },
    async () => {
      const folder = testFolder();
      const reported = new Set<string>();
      for (let round = 0; round < 20; round += 1) {
        const fresh = await idsUntilKilled(folder, 20 + Math.floor(Math.random() * 300));
        for (const id of fresh) {
          expect(reported.has(id), `${id} was given twice`).toBe(false);
          reported.add(id);
        }
      }
      const storage = openStorage(folder);
      storage.upkeep();
      storage.stop();
      const stored = await Array.fromAsync(exportRecords({ path: path(folder), agentId: 'edge-01' }));
      const ids = new Set(stored.map(({ id }) => id));
      expect(ids.size).toBe(stored.length);
      expect([...reported].filter((id) => !ids.has(id))).toEqual([]);
      expect(lossesOf(stored)).toEqual([]);
      // Nothing but a clean stop proves where the sequence ended.
      expect(new Set([...ids].map((id) => id.split('/')[1])).size, 'an epoch for each life').toBeGreaterThan(19);
    },
  );

  async function idsUntilKilled(folder: string, count: number): Promise<readonly string[]> {
    const child = spawn(process.execPath, [fileURLToPath(new URL('append-until-killed.ts', import.meta.url)), folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    let lines = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      lines += chunk.filter((byte) => byte === 10).length;
      if (lines >= count) child.kill('SIGKILL');
    });
    await once(child, 'close');
    // The last line may be cut. Its record is stored, but its id was not reported completely.
    return text.split('\n').slice(0, -1);
  }

  test('an alarm that reached its own file but not the outbox is stored at the next start', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(alarmDraft(1));
    first.stop();
    // A crash in between: the alarm file is newer than the outbox.
    copyFileSync(path(folder), join(folder, 'before.db'));
    const second = openStorage(folder);
    second.append(alarmDraft(2));
    rmSync(path(folder));
    rmSync(`${path(folder)}-wal`, { force: true });
    rmSync(`${path(folder)}-shm`, { force: true });
    copyFileSync(join(folder, 'before.db'), path(folder));
    const third = openStorage(folder);
    third.upkeep();
    expect(
      drainStorage(third)
        .filter(({ kind }) => kind === 'alarm')
        .map(numberOf),
    ).toEqual([1, 2]);
    third.stop();
  });
});

describe('the file is not what it was', () => {
  test('an older copy put back begins a new epoch and says what is missing', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(draft('verdict', 1), draft('verdict', 2));
    first.stop();
    copyFileSync(path(folder), join(folder, 'backup.db'));
    const second = openStorage(folder);
    const given = second.append(draft('verdict', 3), draft('verdict', 4), draft('verdict', 5));
    second.stop();
    writeFileSync(path(folder), readFileSync(join(folder, 'backup.db')));
    const third = openStorage(folder);
    expect(third.opened.epoch).not.toBe(second.opened.epoch);
    third.upkeep();
    const [again] = third.append(draft('verdict', 6));
    expect(given).not.toContain(again);
    expect(lossesOf(drainStorage(third))).toMatchObject([{ reason: 'rows-missing', from: 3, to: 5, count: 3 }]);
    third.stop();
  });

  test('a WAL cut off after commits begins a new epoch and says what is missing', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(draft('verdict', 1));
    const given = [2, 3, 4].flatMap((number) => first.append(draft('verdict', number)));
    const kept = crashCopy(folder);
    // The last two commits have one frame each, of a page and its header.
    truncateSync(`${path(kept)}-wal`, readFileSync(`${path(kept)}-wal`).length - 1.5 * 4120);
    const second = openStorage(kept);
    expect(second.opened.epochsStarted).toBe(1);
    second.upkeep();
    const again = second.append(draft('verdict', 5));
    expect(given).not.toContain(again[0]);
    const [loss] = lossesOf(drainStorage(second));
    expect(loss?.reason).toBe('rows-missing');
    expect(loss?.to).toBe(4);
    second.stop();
  });

  test('a killed process begins a new epoch without a loss', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(draft('verdict', 1));
    // No stop: the files are left as a killed process leaves them.
    const second = openStorage(folder);
    expect(second.opened.epoch).not.toBe(first.opened.epoch);
    second.upkeep();
    expect(lossesOf(drainStorage(second))).toEqual([]);
    second.stop();
  });

  test('the epochs of a thousand crashes do not pile up, and no record loses its own', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    const [id] = first.append(draft('verdict', 1));
    first.stop();
    const sqlite = new Database(path(folder));
    const add = sqlite.prepare('INSERT INTO epoch (first_sequence, epoch, started_ms) VALUES (?, ?, 0)');
    for (let sequence = 2; sequence <= 1000; sequence += 1) add.run(sequence, `crash-${sequence}`);
    sqlite.prepare("INSERT OR REPLACE INTO meta (name, value) VALUES ('sequence', '1000')").run();
    const count = sqlite.prepare('SELECT count(*) FROM epoch').pluck();
    const second = openStorage(folder);
    expect(drainStorage(second)[0]?.id).toBe(id);
    expect(count.get(), 'its record waited').toBe(1000);
    second.upkeep(1_900_000_000_000);
    const third = openStorage(folder);
    expect(count.get()).toBe(100);
    third.stop();
    second.stop();
    sqlite.close();
  });

  test('a file system that loses its last acknowledged writes, mark included, has no id given twice', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(draft('verdict', 1));
    const kept = crashCopy(folder);
    const given = [2, 3].flatMap((number) => first.append(draft('verdict', number)));
    first.stop();
    // ext4 that failed and was repaired: same inode, same boot, and neither the WAL nor the mark has the end.
    restoreInPlace(kept, folder);
    const second = openStorage(folder);
    second.upkeep();
    const again = new Set([4, 5].flatMap((number) => second.append(draft('verdict', number))));
    expect(given.filter((id) => again.has(id))).toEqual([]);
    second.stop();
  });

  test('a disk that comes back without its last records while the agent runs has them reported as lost', () => {
    const folder = testFolder();
    const file = openFile(folder);
    const append = (number: number) =>
      file.use(0, ({ database }) => {
        const row = { kind: 'verdict', watch: 'pump-1', timestampMs: number, key: null, originalId: null } as const;
        return database.commit(() => database.insert({ ...row, body: JSON.stringify({ number }) }));
      });
    append(1);
    file.mark();
    const kept = crashCopy(folder);
    append(2);
    append(3);
    file.mark();
    const failure = new Database.SqliteError('disk I/O error', 'SQLITE_IOERR_READ');
    expect(() => file.use(0, () => raise(failure))).toThrow('disk I/O error');
    restoreInPlace(kept, folder);
    file.ensureOpen(0);
    expect(file.epochsStarted).toBe(1);
    expect(file.use(0, ({ database }) => database.statements.losses.all(10))).toMatchObject([
      { reason: 'rows-missing', from_sequence: 2, to_sequence: 3, count: 2 },
    ]);
    file.close();
  });

  test('a missing file begins a new epoch, and what was not delivered is said to be lost', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(draft('verdict', 1), draft('verdict', 2), draft('verdict', 3));
    first.acknowledge(first.read('backlog', 2));
    first.append(draft('verdict', 4));
    first.stop();
    rmSync(path(folder));
    const second = openStorage(folder);
    second.upkeep();
    expect(lossesOf(drainStorage(second))).toMatchObject([{ reason: 'database-replaced', from: 3, to: 4, count: 2 }]);
    second.stop();
  });

  test('a database whose high-water file is gone begins a new epoch without claiming a loss', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(draft('verdict', 1));
    first.stop();
    rmSync(`${path(folder)}.high-water`);
    const second = openStorage(folder);
    expect(second.opened.epoch).not.toBe(first.opened.epoch);
    second.upkeep();
    expect(drainStorage(second).map(({ kind }) => kind)).toEqual(['verdict']);
    second.stop();
  });
});

describe('the disk lies', () => {
  test('a flipped bit in a record costs that record only: it is never sent, and its loss is', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(...[1, 2, 3].map((number) => draft('verdict', number, 50)));
    first.stop();
    const bytes = readFileSync(path(folder));
    const place = bytes.indexOf('{"number":2,');
    bytes[place + 20] = (bytes[place + 20] ?? 0) ^ 1;
    writeFileSync(path(folder), bytes);
    const second = openStorage(folder);
    expect(drainStorage(second).map(numberOf)).toEqual([1, 3]);
    second.upkeep();
    expect(lossesOf(drainStorage(second))).toMatchObject([{ reason: 'row-damaged', from: 2, to: 2, count: 1 }]);
    second.stop();
  });

  test('a damaged page sends the file into quarantine, and what can be read of it is salvaged under its old ids', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    const ids = Array.from({ length: 200 }, (_, index) => first.append(draft('verdict', index + 1, 200))[0] ?? '');
    first.acknowledge(first.read('backlog', 10));
    first.stop();
    const bytes = readFileSync(path(folder));
    bytes.fill(0xff, 4096 * 20, 4096 * 21);
    writeFileSync(path(folder), bytes);
    const second = openStorage(folder);
    expect(second.opened.outbox.status).toBe('degraded');
    for (let slices = 0; second.upkeep().more && slices < 1000; slices += 1);
    expect(second.upkeep().outbox).toEqual({ status: 'ok', reason: undefined });
    second.upkeep(1_800_000_100_000);
    const sent = drainStorage(second);
    const verdicts = sent.filter(({ kind }) => kind === 'verdict');
    expect(verdicts.length).toBeGreaterThan(100);
    expect(verdicts.every(({ id, body }) => ids[numberOf({ ...verdicts[0], body } as StoredRecord) - 1] === id)).toBe(
      true,
    );
    const [loss] = lossesOf(sent);
    expect(loss).toMatchObject({ reason: 'database-damaged', from: 11, to: 200, count: 190 - verdicts.length });
    second.stop();
  });

  test('random damage anywhere never stops the start, never sends a wrong record and never gives an id twice', () => {
    for (let round = 0; round < 40; round += 1) {
      const folder = testFolder();
      const first = openStorage(folder);
      const given = new Map<string, string>();
      for (let number = 1; number <= 60; number += 1) {
        const one = draft(number % 3 === 0 ? 'sample' : 'verdict', number, 120);
        given.set(first.append(one)[0] ?? '', JSON.stringify(one.body));
      }
      const kept = crashCopy(folder);
      const file = round % 2 === 0 ? path(kept) : `${path(kept)}-wal`;
      if (round % 2 === 0) first.stop();
      if (round % 2 === 0) copyFileSync(path(folder), path(kept));
      if (round % 2 === 0) rmSync(`${path(kept)}-wal`, { force: true });
      const bytes = readFileSync(file);
      for (let flips = 0; flips < 8; flips += 1) {
        const place = Math.floor(Math.random() * bytes.length);
        // The number of the format: a larger one belongs to a later version, which refuses the start.
        if (place >= 60 && place < 64) continue;
        bytes[place] = (bytes[place] ?? 0) ^ (1 << Math.floor(Math.random() * 8));
      }
      writeFileSync(file, bytes);
      const second = openStorage(kept);
      for (let slices = 0; second.upkeep().more && slices < 6000; slices += 1);
      const fresh = appendStubbornly(second);
      expect(given.has(fresh)).toBe(false);
      for (const record of drainStubbornly(second)) {
        expect([undefined, record.body]).toContain(given.get(record.id));
      }
      second.stop();
    }
  });
});

/** The first append may detect the damage and be refused as retryable. */
function appendStubbornly(storage: Parameters<typeof drainStorage>[0]): string {
  const reason = () => storage.upkeep().outbox.reason;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      return storage.append(draft('verdict', 999))[0] ?? '';
    } catch (error) {
      if (errorCode(error) !== 'outbox-unavailable') throw error;
    }
  }
  throw new Error(`the outbox does not come back: ${JSON.stringify(reason())}`);
}

function drainStubbornly(storage: Parameters<typeof drainStorage>[0]): readonly StoredRecord[] {
  const reason = () => storage.upkeep().outbox.reason;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      return drainStorage(storage);
    } catch (error) {
      if (errorCode(error) !== 'outbox-unavailable') throw error;
      for (let slices = 0; storage.upkeep().more && slices < 6000; slices += 1);
    }
  }
  throw new Error(`the outbox does not come back: ${JSON.stringify(reason())}`);
}

function openFile(folder: string): OutboxFile {
  const config = outboxConfigSchema.parse({ path: path(folder) });
  let epochs = 0;
  const newEpoch = () => `e${(epochs += 1)}`;
  const file = new OutboxFile({ agentId: 'edge-01', config, uplinks: () => [cloud], life: 'one process', newEpoch });
  file.ensureOpen(0);
  return file;
}

function raise(error: Error): never {
  throw error;
}

/** Puts the files of an earlier moment back, under the same inodes. */
function restoreInPlace(kept: string, folder: string): void {
  for (const name of readdirSync(kept)) writeFileSync(join(folder, name), readFileSync(join(kept, name)));
}

/** The files as a crash at this moment leaves them. */
function crashCopy(folder: string): string {
  const kept = join(folder, 'kept');
  mkdirSync(kept);
  for (const name of ['outbox.db', 'outbox.db-wal', 'outbox.db.high-water'])
    if (existsSync(join(folder, name))) copyFileSync(join(folder, name), join(kept, name));
  return kept;
}

import { crc32 } from 'node:zlib';
import type { AlarmTransition } from '../../domain/alarm/alarm.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { SqliteDatabase } from '../file/database-file.ts';
import { isIntactText } from '../file/row-checksum.ts';
import { openDatabase } from '../file/database-file.ts';

/** Alarms are few: a transition is under a kilobyte, and only the last of each watch is kept. */
const ALARM_BYTES_MAX = 64e6;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS alarm (
  watch TEXT PRIMARY KEY, number INTEGER NOT NULL, checksum INTEGER NOT NULL, transition TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (
  watch TEXT NOT NULL, number INTEGER NOT NULL, timestamp REAL NOT NULL, body TEXT NOT NULL, checksum INTEGER NOT NULL,
  PRIMARY KEY (watch, number)
) WITHOUT ROWID;
`;

/** An alarm record that may not be in the outbox yet. */
export type PendingAlarm = {
  readonly watch: string;
  readonly number: number;
  readonly timestampMs: EpochMs;
  readonly body: string;
};

type PendingRow = {
  readonly watch: string;
  readonly number: number;
  readonly timestamp: number;
  readonly body: string;
  readonly checksum: number;
};

type AlarmRow = {
  readonly watch: string;
  readonly number: number;
  readonly checksum: number;
  readonly transition: string;
};

/** Key that makes an alarm's record unique in the outbox. */
export function alarmKey(watch: string, number: number): string {
  return `alarm/${watch}/${number}`;
}

/**
 * The alarms' own small file: what they are, and which of their records are on the way to the outbox. It is written
 * before the outbox is, so that an alarm outlives the loss of the outbox file, and telemetry never pushes it out.
 */
export class AlarmDatabase {
  readonly #sqlite: SqliteDatabase;
  readonly #statements;
  #cleared: { readonly watch: string; readonly number: number }[] = [];

  constructor(path: string) {
    this.#sqlite = openDatabase(path, ALARM_BYTES_MAX);
    try {
      this.#sqlite.exec(SCHEMA);
      this.#statements = {
        save: this.#sqlite.prepare(
          `INSERT INTO alarm (watch, number, checksum, transition) VALUES (?, ?, ?, ?)
           ON CONFLICT (watch) DO UPDATE SET number = excluded.number, checksum = excluded.checksum,
           transition = excluded.transition WHERE excluded.number >= number`,
        ),
        addPending: this.#sqlite.prepare(
          'INSERT OR REPLACE INTO pending (watch, number, timestamp, body, checksum) VALUES (?, ?, ?, ?, ?)',
        ),
        clear: this.#sqlite.prepare('DELETE FROM pending WHERE watch = ? AND number = ?'),
        all: this.#sqlite.prepare('SELECT watch, number, checksum, transition FROM alarm ORDER BY watch'),
        remove: this.#sqlite.prepare('DELETE FROM alarm WHERE watch = ?'),
        pending: this.#sqlite.prepare('SELECT * FROM pending ORDER BY timestamp, number LIMIT 500'),
      };
    } catch (error) {
      this.#sqlite.close();
      throw error;
    }
  }

  /** Stores transitions as pending, on the disk when this returns; takes what was cleared along. */
  store(alarms: readonly { readonly transition: AlarmTransition; readonly body: string }[]): void {
    this.#sqlite.transaction(() => {
      this.#removeCleared();
      for (const { transition, body } of alarms) {
        const { watch, number, timestampMs } = transition;
        const text = JSON.stringify(transition);
        this.#statements.save.run(watch, number, crc32(text), text);
        this.#statements.addPending.run(watch, number, timestampMs, body, crc32(body));
      }
    })();
    this.#cleared = [];
  }

  /** Their records are in the outbox. Written later: storing one again is harmless, its key is taken. */
  clear(alarms: readonly { readonly watch: string; readonly number: number }[]): void {
    this.#cleared.push(...alarms);
  }

  /** Writes what was cleared. */
  settle(): void {
    if (this.#cleared.length === 0) return;
    this.#sqlite.transaction(() => this.#removeCleared())();
    this.#cleared = [];
  }

  pending(): readonly PendingAlarm[] {
    return (this.#statements.pending.all() as PendingRow[])
      .filter(({ body, checksum }) => isIntactText(body, checksum))
      .map(({ watch, number, timestamp, body }) => ({ watch, number, timestampMs: timestamp, body }));
  }

  /**
   * Last transition of every alarm; `damaged` counts those that are not what was stored. These are deleted: their
   * number may be wrong, too, and would keep newer transitions out.
   */
  alarms(): { readonly transitions: readonly AlarmTransition[]; readonly damaged: number } {
    const rows = this.#statements.all.all() as AlarmRow[];
    const transitions: AlarmTransition[] = [];
    const damaged: string[] = [];
    for (const row of rows) {
      const transition = transitionOf(row);
      if (transition === undefined) damaged.push(row.watch);
      else transitions.push(transition);
    }
    if (damaged.length > 0)
      this.#sqlite.transaction(() => {
        for (const watch of damaged) this.#statements.remove.run(watch);
      })();
    return { transitions, damaged: damaged.length };
  }

  close(): void {
    this.#sqlite.close();
  }

  #removeCleared(): void {
    for (const { watch, number } of this.#cleared) this.#statements.clear.run(watch, number);
  }
}

/** @returns Undefined where the row is not what `store` wrote. */
function transitionOf({ watch, number, checksum, transition: text }: AlarmRow): AlarmTransition | undefined {
  if (!isIntactText(text, checksum)) return undefined;
  // The checksum says that this is a text that `store` wrote.
  const transition = JSON.parse(text) as AlarmTransition;
  return transition.watch === watch && transition.number === number ? transition : undefined;
}

import { crc32 } from 'node:zlib';
import { type AlarmTransition, watchAlarmId } from '../../domain/alarm/alarm.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { SqliteDatabase } from '../file/database-file.ts';
import { type DatabaseFormat, openFormatted } from '../file/database-format.ts';
import { isIntactText } from '../file/row-checksum.ts';

/** A transition is under 1 kB, and only the last one of each watch is kept. */
const ALARM_BYTES_MAX = 64e6;

const TABLES = `
CREATE TABLE alarm (
  watch TEXT PRIMARY KEY, number INTEGER NOT NULL, checksum INTEGER NOT NULL, transition TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE pending (
  watch TEXT NOT NULL, number INTEGER NOT NULL, timestamp REAL NOT NULL, body TEXT NOT NULL, checksum INTEGER NOT NULL,
  PRIMARY KEY (watch, number)
) WITHOUT ROWID;
`;

export const alarmsFormat: DatabaseFormat = {
  name: 'alarm database',
  migrations: [(database) => database.exec(TABLES)],
};

/** A transition of an alarm. `watch` is the watch, or the id of another alarm: a watch's alarm was stored without an id before. */
export type AlarmKey = { readonly watch: string; readonly number: number };

/** Returns the key of a stored transition. */
export function storedKey({ watch, alarm, number }: AlarmTransition): AlarmKey {
  return { watch: watch ?? alarm, number };
}

/** An alarm record that may be missing from the outbox. */
export type PendingAlarm = AlarmKey & {
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

/** Returns the key that makes an alarm's record unique in the outbox. */
export function alarmKey({ watch, number }: AlarmKey): string {
  return `alarm/${watch}/${number}`;
}

/**
 * A separate small file with the state of every alarm, and the alarm records that may be missing from the outbox. It is
 * written before the outbox, so that an alarm outlives the loss of the outbox file and is never displaced by telemetry.
 */
export class AlarmDatabase {
  readonly #sqlite: SqliteDatabase;
  readonly #statements;
  #cleared: AlarmKey[] = [];
  /** True if a record may be missing from the outbox: after opening and after `store`. */
  #mayPend = true;

  constructor(path: string) {
    this.#sqlite = openFormatted(path, ALARM_BYTES_MAX, alarmsFormat);
    try {
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

  /** Stores transitions as pending, on disk when this returns. Also deletes cleared alarms. */
  store(alarms: readonly { readonly transition: AlarmTransition; readonly body: string }[]): void {
    this.#sqlite.transaction(() => {
      this.#removeCleared();
      for (const { transition, body } of alarms) {
        const { watch, number } = storedKey(transition);
        const { timestampMs } = transition;
        // Earlier versions, which may read the file again, stored an empty text for no watch.
        const text = JSON.stringify({ ...transition, watch: transition.watch ?? '' });
        this.#statements.save.run(watch, number, crc32(text), text);
        this.#statements.addPending.run(watch, number, timestampMs, body, crc32(body));
      }
    })();
    this.#cleared = [];
    this.#mayPend = true;
  }

  /** Marks alarms whose records are in the outbox. Written later: a record that is stored again keeps its id. */
  clear(alarms: readonly AlarmKey[]): void {
    this.#cleared.push(...alarms);
  }

  /** Deletes cleared alarms from the file. */
  settle(): void {
    if (this.#cleared.length === 0) return;
    this.#sqlite.transaction(() => this.#removeCleared())();
    this.#cleared = [];
  }

  /** @throws {Error} SqliteError while another program has the file locked. */
  probe(): void {
    this.#sqlite.exec('BEGIN IMMEDIATE; ROLLBACK');
  }

  pending(): readonly PendingAlarm[] {
    if (!this.#mayPend) return [];
    this.settle();
    const pending = (this.#statements.pending.all() as PendingRow[])
      .filter(({ body, checksum }) => isIntactText(body, checksum))
      .map(({ watch, number, timestamp, body }) => ({ watch, number, timestampMs: timestamp, body }));
    this.#mayPend = pending.length > 0;
    return pending;
  }

  /**
   * Returns the last transition of every alarm. `damaged` counts rows that are not what was stored. These are deleted,
   * because a wrong number could block newer transitions.
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

/** Properties that the stored text may lack: JSON has no undefined, and an earlier version stored neither the id nor the parameters. */
type Missing = 'alarm' | 'parameters' | 'by' | 'score';

/** @returns Undefined if the row is not what `store` wrote. */
function transitionOf({ watch, number, checksum, transition: text }: AlarmRow): AlarmTransition | undefined {
  if (!isIntactText(text, checksum)) return undefined;
  // The checksum proves that `store` wrote this text.
  const stored = JSON.parse(text) as Omit<AlarmTransition, Missing> & Partial<Pick<AlarmTransition, Missing>>;
  const { alarm = watchAlarmId(watch), parameters = {}, by, score } = stored;
  const transition = { ...stored, alarm, watch: stored.watch || undefined, parameters, by, score };
  const key = storedKey(transition);
  return key.watch === watch && key.number === number ? transition : undefined;
}

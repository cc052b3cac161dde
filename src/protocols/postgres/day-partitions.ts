import type { ClientBase } from 'pg';
import { SCHEMA_LOCK } from './migrate.ts';
import { dayTables, quoted } from './record-schema.ts';

const DAY_MS = 86_400_000;
/** Days that are created before they begin. */
const AHEAD_DAYS = 2;
/** Rows with times outside this range, of a box whose clock is wrong, need no partition of their own. */
const PAST_DAYS_MAX = 400;

/** Partitions of the large tables, one for each day (UTC). */
export class DayPartitions {
  readonly #client: ClientBase;
  readonly #schema: string;
  /** Days that have partitions, or that may not have one. */
  readonly #known = new Set<number>();

  constructor(client: ClientBase, schema: string) {
    this.#client = client;
    this.#schema = schema;
  }

  /** Creates the partitions of today and the next days. */
  async createAhead(nowMs: number): Promise<void> {
    const today = dayOf(nowMs);
    await this.create(
      Array.from({ length: AHEAD_DAYS + 1 }, (_, day) => (today + day) * DAY_MS),
      nowMs,
    );
  }

  /** Creates the missing partitions for rows of these times. Rows of days far from today stay in the partition `_other`. */
  async create(timesMs: Iterable<number>, nowMs: number): Promise<void> {
    const today = dayOf(nowMs);
    const days = new Set<number>();
    for (const timeMs of timesMs) {
      const day = dayOf(timeMs);
      if (!this.#known.has(day) && day >= today - PAST_DAYS_MAX && day <= today + AHEAD_DAYS) days.add(day);
    }
    if (days.size === 0) return;
    for (const day of [...days].toSorted((a, b) => a - b)) {
      for (const table of dayTables) await this.#createOne(table, day);
      this.#known.add(day);
    }
  }

  /** Removes the partitions of days that ended before a time, and such rows of `_other`. @returns Number of days. */
  async dropBefore(timeMs: number): Promise<number> {
    const s = quoted(this.#schema);
    const dropped = new Set<string>();
    for (const table of dayTables) {
      const { rows } = await this.#client.query<{ readonly name: string }>(
        `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = $1::regclass AND c.relname ~ '_[0-9]{8}$' ORDER BY 1`,
        [`${s}.${table}`],
      );
      for (const { name } of rows) {
        const day = name.slice(-8);
        if (day >= dayText(dayOf(timeMs))) continue;
        await this.#client.query(`DROP TABLE IF EXISTS ${s}.${quoted(name)}`);
        dropped.add(day);
      }
      await this.#client.query(`DELETE FROM ${s}.${table}_other WHERE time < $1`, [new Date(timeMs)]);
    }
    this.#known.clear();
    return dropped.size;
  }

  async #createOne(table: string, day: number): Promise<void> {
    const s = quoted(this.#schema);
    const name = `${s}.${quoted(`${table}_${dayText(day)}`)}`;
    if (await this.#exists(name)) return;
    const [from, to] = [day, day + 1].map((one) => `'${new Date(one * DAY_MS).toISOString()}'`);
    await this.#client.query('BEGIN');
    try {
      await this.#client.query('SELECT pg_advisory_xact_lock($1)', [SCHEMA_LOCK]);
      if (!(await this.#exists(name))) {
        await this.#client.query(`CREATE TABLE ${name} (LIKE ${s}.${table} INCLUDING ALL)`);
        // A box whose clock was ahead may have rows of this day, which would prevent the partition.
        await this.#client.query(`LOCK TABLE ${s}.${table}_other IN ACCESS EXCLUSIVE MODE`);
        await this.#client.query(
          `WITH moved AS (DELETE FROM ${s}.${table}_other WHERE time >= ${from} AND time < ${to} RETURNING *)
           INSERT INTO ${name} SELECT * FROM moved`,
        );
        await this.#client.query(
          `ALTER TABLE ${s}.${table} ATTACH PARTITION ${name} FOR VALUES FROM (${from}) TO (${to})`,
        );
      }
      await this.#client.query('COMMIT');
    } catch (error) {
      await this.#client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  async #exists(name: string): Promise<boolean> {
    const { rows } = await this.#client.query<{ readonly found: string | null }>('SELECT to_regclass($1) AS found', [
      name,
    ]);
    return typeof rows[0]?.found === 'string';
  }
}

/** Returns the number of the day (UTC) since 1970. */
function dayOf(timeMs: number): number {
  return Math.floor(timeMs / DAY_MS);
}

/** Returns a day as YYYYMMDD. */
function dayText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '');
}

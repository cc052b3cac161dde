import type { ClientBase } from 'pg';
import { quoted } from './record-schema.ts';

/** Tables of names, each with the column of its numbers. */
const numberOf = { epochs: 'epoch', watches: 'watch', tags: 'tag' } as const;
export type NameTable = keyof typeof numberOf;

/** Fields that are the same for many verdicts of a watch. */
export type VerdictSettings = Readonly<Record<string, unknown>> & { readonly watch: number; readonly hash: string };

/**
 * Numbers of names, which the database gives out once. A connection asks for each name once.
 * A name is committed before a row uses its number.
 */
export class NameNumbers {
  readonly #client: ClientBase;
  readonly #s: string;
  readonly #numbers = new Map<string, number>();

  constructor(client: ClientBase, schema: string) {
    this.#client = client;
    this.#s = quoted(schema);
  }

  /** Returns the numbers of boxes by their names. */
  async boxes(names: Iterable<string>): Promise<(name: string) => number> {
    const key = (name: string) => `boxes\0${name}`;
    const missing = [...new Set(names)].filter((name) => !this.#numbers.has(key(name))).toSorted();
    for (const row of await this.#added(
      'boxes',
      'box',
      ['name'],
      missing.map((name) => ({ name })),
    ))
      this.#numbers.set(key(String(row['name'])), Number(row['number']));
    return (name) => this.#known(key(name));
  }

  /** Returns the numbers of names of boxes. */
  async names(
    table: NameTable,
    wanted: Iterable<readonly [box: number, name: string]>,
  ): Promise<(box: number, name: string) => number> {
    const key = (box: number, name: string) => `${table}\0${box}\0${name}`;
    const missing = new Map<string, { readonly box: number; readonly name: string }>();
    for (const [box, name] of wanted) {
      const own = key(box, name);
      if (!this.#numbers.has(own)) missing.set(own, { box, name });
    }
    for (const row of await this.#added(table, numberOf[table], ['box', 'name'], [...missing.values()]))
      this.#numbers.set(key(Number(row['box']), String(row['name'])), Number(row['number']));
    return (box, name) => this.#known(key(box, name));
  }

  /** Returns the numbers of settings by watch and hash. */
  async settings(wanted: Iterable<VerdictSettings>): Promise<(watch: number, hash: string) => number> {
    const key = (watch: number, hash: string) => `settings\0${watch}\0${hash}`;
    const missing = new Map<string, VerdictSettings>();
    for (const one of wanted) {
      const own = key(one.watch, one.hash);
      if (!this.#numbers.has(own)) missing.set(own, one);
    }
    const rows = await this.#added('verdict_settings', 'settings', ['watch', 'hash'], [...missing.values()]);
    for (const row of rows) this.#numbers.set(key(Number(row['watch']), String(row['hash'])), Number(row['number']));
    return (watch, hash) => this.#known(key(watch, hash));
  }

  #known(key: string): number {
    const number = this.#numbers.get(key);
    if (number === undefined) throw new RangeError(`${key.replaceAll('\0', ' ')} has no number`);
    return number;
  }

  /** Adds rows that are missing. @returns The keys of all rows with their numbers. */
  async #added(
    table: string,
    number: string,
    keys: readonly string[],
    rows: readonly object[],
  ): Promise<readonly Readonly<Record<string, unknown>>[]> {
    if (rows.length === 0) return [];
    const json = JSON.stringify(rows);
    const name = `${this.#s}.${table}`;
    const columns = Object.keys(rows[0] ?? {}).join(', ');
    // Sorted, so that two programs that add the same names wait for each other in one order.
    await this.#client.query(
      `INSERT INTO ${name} (${columns}) SELECT ${columns} FROM json_populate_recordset(NULL::${name}, $1::json) AS wanted
       WHERE NOT EXISTS (SELECT FROM ${name} known WHERE (${keys.map((key) => `known.${key}`).join(', ')}) = (${keys.map((key) => `wanted.${key}`).join(', ')}))
       ORDER BY ${keys.join(', ')} ON CONFLICT DO NOTHING`,
      [json],
    );
    const found = await this.#client.query<Readonly<Record<string, unknown>>>(
      `SELECT known.${number} AS number, ${keys.map((key) => `known.${key}`).join(', ')}
       FROM ${name} known JOIN json_populate_recordset(NULL::${name}, $1::json) wanted USING (${keys.join(', ')})`,
      [json],
    );
    return found.rows;
  }
}

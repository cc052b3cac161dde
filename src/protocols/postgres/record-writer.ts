import type { ClientBase } from 'pg';
import { DayPartitions } from './day-partitions.ts';
import { NameNumbers } from './name-numbers.ts';
import { quoted } from './record-schema.ts';
import { type RecordId, recordIdOf, type RecordMessage, type TableRows, tableRows } from './record-rows.ts';

/** Stores records in the tables of `record-schema.ts`. A record that is stored already is left as it is. */
export class RecordWriter {
  readonly partitions: DayPartitions;
  readonly #client: ClientBase;
  readonly #s: string;
  readonly #numbers: NameNumbers;

  constructor(client: ClientBase, schema: string) {
    this.#client = client;
    this.#s = quoted(schema);
    this.partitions = new DayPartitions(client, schema);
    this.#numbers = new NameNumbers(client, schema);
  }

  /**
   * Stores the records in one statement: all of them or none.
   *
   * @param last Id of the last record that an uplink has sent, which is stored with them.
   * @throws {DatabaseError} of pg.
   */
  async store(messages: readonly RecordMessage[], nowMs: number, last?: string): Promise<void> {
    const times = messages.flatMap(({ records }) => records.map(({ timestamp_ms: timeMs }) => timeMs));
    await this.partitions.create(times, nowMs);
    const rows = await tableRows(messages, this.#numbers);
    const position = last === undefined ? undefined : recordIdOf(last);
    const epoch = position === undefined ? null : await this.#epochOf(position);
    await this.#client.query(storeStatement(this.#s), [
      ...tableNames.map((table) => jsonText(rows[table])),
      rows.boxes,
      epoch,
      position?.sequence ?? null,
    ]);
  }

  /** Stores that an uplink has sent the records up to an id, without any of them. */
  async moveTo(last: string): Promise<void> {
    const position = recordIdOf(last);
    await this.#client.query(
      `UPDATE ${this.#s}.epochs SET last_sequence = greatest(last_sequence, $2) WHERE epoch = $1`,
      [await this.#epochOf(position), position.sequence],
    );
  }

  /** Returns the sequence of the last record that an uplink has sent for a box; 0 if none. Epochs sort by time. */
  async lastSequence(box: string): Promise<number> {
    const { rows } = await this.#client.query<{ readonly last_sequence: string }>(
      `SELECT last_sequence FROM ${this.#s}.epochs e JOIN ${this.#s}.boxes b USING (box)
       WHERE b.name = $1 AND last_sequence > 0 ORDER BY e.name DESC LIMIT 1`,
      [box],
    );
    return Number(rows[0]?.last_sequence ?? 0);
  }

  async #epochOf({ box, epoch }: RecordId): Promise<number> {
    const number = (await this.#numbers.boxes([box]))(box);
    return (await this.#numbers.names('epochs', [[number, epoch]]))(number, epoch);
  }
}

const tableNames = [
  'verdict_data',
  'sample_data',
  'summary_data',
  'alarm_data',
  'event_data',
  'loss_data',
] as const satisfies readonly (keyof TableRows)[];

function storeStatement(s: string): string {
  const insert = (table: string, parameter: number) =>
    `INSERT INTO ${s}.${table} SELECT * FROM json_populate_recordset(NULL::${s}.${table}, $${parameter}::json)`;
  const parts = tableNames
    .slice(0, -1)
    .map((table, index) => `${table}_added AS (${insert(table, index + 1)} ON CONFLICT DO NOTHING)`);
  // A box that is seen by two collectors is updated by one of them.
  const seen = `UPDATE ${s}.boxes SET last_seen = now() WHERE box IN (SELECT box FROM ${s}.boxes
    WHERE box = ANY ($7::integer[]) AND last_seen < now() - interval '10 s' ORDER BY box FOR UPDATE SKIP LOCKED)`;
  const moved = `UPDATE ${s}.epochs SET last_sequence = greatest(last_sequence, $9::bigint) WHERE epoch = $8::integer`;
  // A loss record grows until it is acknowledged: the last form counts.
  const grown = ['time', 'count', 'first_sequence', 'last_sequence', 'body'].map(
    (name) => `${name} = excluded.${name}`,
  );
  return `WITH ${parts.join(', ')}, seen AS (${seen}), moved AS (${moved})
    ${insert('loss_data', 6)} ON CONFLICT (epoch, sequence) DO UPDATE SET ${grown.join(', ')}`;
}

/** Returns rows as JSON that PostgreSQL accepts: its texts have no NUL and no half of a surrogate pair. */
function jsonText(rows: readonly object[]): string {
  return JSON.stringify(rows).replaceAll(/(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][\da-f]{2})/g, '$1\uFFFD');
}

import type { SqliteDatabase } from '../file/database-file.ts';
import type { RollupTables } from './rollup-tables.ts';
import type { Columns } from './series-codec.ts';

/** Chunks of one transaction: at most a few tens of milliseconds. */
const CHUNKS_PER_STEP = 8;

/** The chunks that a file had before it had rollups, and that are not rolled up yet. */
export const REBUILD_TABLE = `
CREATE TABLE rebuild (next INTEGER NOT NULL, last INTEGER NOT NULL);
INSERT INTO rebuild SELECT min(chunk), max(chunk) FROM chunk HAVING count(*) > 0;
`;

type ChunkRow = { readonly chunk: number; readonly tag: number; readonly checksum: number; readonly data: Uint8Array };

/** Adds the samples of an old file to the rollups, a few chunks at a time. The caller runs the transactions. */
export class RollupRebuild {
  readonly #statements;

  constructor(sqlite: SqliteDatabase) {
    this.#statements = {
      state: sqlite.prepare('SELECT next, last FROM rebuild'),
      chunks: sqlite.prepare(
        `SELECT chunk, tag, checksum, data FROM chunk WHERE chunk BETWEEN ? AND ? ORDER BY chunk LIMIT ${CHUNKS_PER_STEP}`,
      ),
      advance: sqlite.prepare('UPDATE rebuild SET next = ?'),
      end: sqlite.prepare('DELETE FROM rebuild'),
    };
  }

  /** True while chunks wait. Joined chunks would get new numbers, so nothing may be joined meanwhile. */
  get isActive(): boolean {
    return this.#statements.state.get() !== undefined;
  }

  /** @param decode Returns undefined for a damaged chunk. */
  step(rollups: RollupTables, decode: (row: ChunkRow) => Columns | undefined): void {
    const state = this.#statements.state.get() as { readonly next: number; readonly last: number } | undefined;
    if (state === undefined) return;
    const rows = this.#statements.chunks.all(state.next, state.last) as ChunkRow[];
    for (const row of rows) {
      const columns = decode(row);
      if (columns !== undefined) rollups.add(row.tag, columns);
    }
    const last = rows.at(-1);
    if (last === undefined) this.#statements.end.run();
    else this.#statements.advance.run(last.chunk + 1);
  }
}

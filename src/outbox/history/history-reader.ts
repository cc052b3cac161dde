import { crc32 } from 'node:zlib';
import type { TagSeries } from '../../contracts/sample-history.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import type { SqliteDatabase } from '../file/database-file.ts';
import { openReadOnly } from '../file/database-file.ts';
import { decodeSeries } from './series-codec.ts';
import { SeriesBuffer } from './series-buffer.ts';

type ChunkRow = { readonly checksum: number; readonly data: Uint8Array };

/**
 * The sample history read from another process, while its agent runs or after it; nothing is changed. What the agent
 * has not flushed yet, a few seconds, is not there.
 */
export class HistoryReader implements Disposable {
  readonly #sqlite: SqliteDatabase;
  readonly #statements;
  /** Chunks that failed their checksum and were left out. */
  damaged = 0;

  /**
   * @param path Of `history.db`, beside the outbox.
   * @throws {OperatingError} 'history-unavailable' (retry) where the file is missing, not readable or no history.
   */
  constructor(path: string) {
    try {
      this.#sqlite = openReadOnly(path);
    } catch (error) {
      throw unavailable(path, error);
    }
    try {
      this.#statements = {
        tags: this.#sqlite.prepare('SELECT name FROM tag ORDER BY name').pluck(),
        extent: this.#sqlite.prepare(
          'SELECT min(from_ms) AS fromMs, max(to_ms) AS toMs FROM chunk JOIN tag USING (tag) WHERE name = ?',
        ),
        chunks: this.#sqlite.prepare(
          `SELECT checksum, data FROM chunk JOIN tag USING (tag)
           WHERE name = ? AND to_ms >= ? AND from_ms < ? ORDER BY to_ms, chunk`,
        ),
      };
    } catch (error) {
      this.#sqlite.close();
      throw unavailable(path, error);
    }
  }

  /** Tags that were ever kept, in alphabetical order. */
  tags(): readonly string[] {
    return this.#statements.tags.all() as string[];
  }

  /** Times of the first and the last sample kept of a tag; undefined where there is none. */
  extent(tag: string): { readonly fromMs: EpochMs; readonly toMs: EpochMs } | undefined {
    const row = this.#statements.extent.get(tag) as { fromMs: number | null; toMs: number | null };
    return row.fromMs === null || row.toMs === null ? undefined : { fromMs: row.fromMs, toMs: row.toMs };
  }

  /** Samples in [fromMs, toMs), oldest first. The caller asks for hours, not for months: all of it is in memory. */
  read(tag: string, fromMs: EpochMs, toMs: EpochMs): TagSeries {
    const buffer = new SeriesBuffer();
    for (const { checksum, data } of this.#statements.chunks.all(tag, fromMs, toMs) as ChunkRow[]) {
      if (crc32(data) !== checksum) {
        this.damaged += 1;
        continue;
      }
      const { timesMs, values } = decodeSeries(data);
      for (let index = 0; index < timesMs.length; index += 1) {
        const timeMs = timesMs[index] ?? 0;
        if (timeMs >= fromMs && timeMs < toMs) buffer.push(timeMs, values[index] ?? Number.NaN);
      }
    }
    return inOrder(tag, buffer);
  }

  [Symbol.dispose](): void {
    this.#sqlite.close();
  }
}

/** By time; samples of one time keep their order. */
function inOrder(tag: string, buffer: SeriesBuffer): TagSeries {
  const { timesMs, values } = buffer.columns;
  const sorted = timesMs.every((timeMs, index) => index === 0 || timeMs >= (timesMs[index - 1] ?? 0));
  if (sorted) return { tag, timesMs: timesMs.slice(), values: values.slice() };
  const order = Uint32Array.from(timesMs, (_, index) => index).toSorted(
    (a, b) => (timesMs[a] ?? 0) - (timesMs[b] ?? 0) || a - b,
  );
  return {
    tag,
    timesMs: Float64Array.from(order, (index) => timesMs[index] ?? 0),
    values: Float64Array.from(order, (index) => values[index] ?? Number.NaN),
  };
}

function unavailable(path: string, cause: unknown): OperatingError {
  return new OperatingError('history-unavailable', 'retry', `Cannot read the history ${path}: ${errorMessage(cause)}`, {
    cause,
  });
}

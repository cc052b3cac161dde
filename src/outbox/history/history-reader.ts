import { crc32 } from 'node:zlib';
import { isScoreSeries, type TagSeries } from '../../contracts/sample-history.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import type { SqliteDatabase } from '../file/database-file.ts';
import { FormatRefusal, openFormattedReadOnly } from '../file/database-format.ts';
import { historyFormat } from './history-database.ts';
import { decodeSeries } from './series-codec.ts';
import { SeriesBuffer, sorted } from './series-buffer.ts';

type ChunkRow = { readonly checksum: number; readonly data: Uint8Array };

/**
 * Reads the sample history from another process, while its agent runs or after it stopped. Changes nothing. Samples that
 * the agent has not flushed yet, a few seconds, are missing.
 */
export class HistoryReader implements Disposable {
  readonly #sqlite: SqliteDatabase;
  readonly #statements;
  /** Number of chunks that failed their checksum and were omitted. */
  damaged = 0;

  /**
   * @param path Path of `history.db`, in the folder of the outbox.
   * @throws {OperatingError} 'history-unavailable' (retry) if the file is missing, not readable or not a history.
   */
  constructor(path: string) {
    try {
      this.#sqlite = openFormattedReadOnly(path, historyFormat);
    } catch (error) {
      if (error instanceof FormatRefusal) throw error;
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

  /** Returns every tag that was ever stored, in alphabetical order. */
  tags(): readonly string[] {
    return (this.#statements.tags.all() as string[]).filter((name) => !isScoreSeries(name));
  }

  /** Returns the times of a tag's first and last stored sample; undefined if there is none. */
  extent(tag: string): { readonly fromMs: EpochMs; readonly toMs: EpochMs } | undefined {
    const row = this.#statements.extent.get(tag) as { fromMs: number | null; toMs: number | null };
    return row.fromMs === null || row.toMs === null ? undefined : { fromMs: row.fromMs, toMs: row.toMs };
  }

  /** Returns the samples in [fromMs, toMs), oldest first. All of them are in memory: request hours, not months. */
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
    const { timesMs, values } = sorted(buffer.columns);
    return { tag, timesMs: timesMs.slice(), values: values.slice() };
  }

  [Symbol.dispose](): void {
    this.#sqlite.close();
  }
}

function unavailable(path: string, cause: unknown): OperatingError {
  return new OperatingError('history-unavailable', 'retry', `Cannot read the history ${path}: ${errorMessage(cause)}`, {
    cause,
  });
}

import type { UplinkTransport } from '../../contracts/uplink.ts';
import type { RecordBatch } from '../../domain/record/record-batch.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage } from '../../platform/errors.ts';
import { type RecordObject, recordObjects } from '../../domain/record/record-object.ts';
import { UplinkError } from '../uplink-errors.ts';
import { DayFolders, dayOf } from './day-folders.ts';
import type { ParquetUplinkConfig } from './parquet-config.ts';
import { parquetMetrics } from './parquet-metrics.ts';
import { parquetFile } from './parquet-tables.ts';

/**
 * Writes each batch as one file for each kind of record and day. Files are named by their first record: after a crash the same
 * records get the same names again, so that no record is in two files.
 */
export class ParquetTransport implements UplinkTransport {
  readonly #id: string;
  readonly #config: ParquetUplinkConfig;
  readonly #deps: Deps;
  readonly #days: DayFolders;
  readonly #metrics;

  constructor(id: string, config: ParquetUplinkConfig, deps: Deps) {
    this.#id = id;
    this.#config = config;
    this.#deps = deps;
    this.#days = new DayFolders(config.folder);
    this.#metrics = deps.metrics.of(parquetMetrics);
  }

  /** `send` creates the folder. */
  start(): void {}

  async send(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    const groups = Map.groupBy(recordObjects(batch), (record) => `${dayOf(record.timestamp_ms)}/${record.kind}`);
    try {
      for (const group of groups.values()) {
        if (signal.aborted) throw new UplinkError('uplink-stopped', 'The uplink stopped before the file was written');
        await this.#prune(dayOf(group[0]?.timestamp_ms ?? 0));
        await this.#write(group);
      }
    } catch (error) {
      if (error instanceof UplinkError) throw error;
      const { folder } = this.#config;
      throw new UplinkError('uplink-folder-failed', `${folder}: ${errorMessage(error)}`, { cause: error });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #write(records: readonly RecordObject[]): Promise<void> {
    const [first, last] = [records[0], records.at(-1)];
    if (first === undefined || last === undefined) return;
    const { kind } = first;
    const file = { name: fileName(first), kind, records: records.length, first: first.id, last: last.id };
    await this.#days.write(dayOf(first.timestamp_ms), file, await parquetFile(kind, records));
  }

  /** Makes room before a file is written, so that the folder exceeds its size by one file at most. */
  async #prune(nextDay: string): Promise<void> {
    const { folder, maxSizeBytes, maxAgeMs } = this.#config;
    const oldestDay = maxAgeMs === undefined ? '' : dayOf(this.#deps.clock.nowMs() - maxAgeMs);
    const { removed, isFull } = await this.#days.prune(maxSizeBytes, oldestDay, nextDay);
    if (removed > 0) {
      this.#metrics.andon_uplink_days_removed_total.inc({ uplink: this.#id }, removed);
      this.#deps.log.info(
        { uplink: this.#id, folder, days: removed },
        'The oldest days of Parquet files were removed.',
      );
    }
    if (isFull)
      throw new UplinkError(
        'uplink-folder-full',
        `${folder}: the newest day is larger than maxSize (${maxSizeBytes} B)`,
      );
  }
}

/** `<kind>-<epoch>-<sequence>.parquet`, which sorts by time. */
function fileName({ kind, id }: RecordObject): string {
  const [epoch = '', sequence = ''] = id.split('/').slice(-2);
  return `${kind}-${epoch}-${sequence.padStart(12, '0')}.parquet`;
}

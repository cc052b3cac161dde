import type { Rollup, RollupResolution } from '../../contracts/sample-history.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { OutboxConfig } from '../file/outbox-config.ts';
import type { StoreHealth } from '../file/storage-protocol.ts';

/** Start options of the history worker. */
export type HistoryOptions = {
  /** `path`, that of the outbox, is absolute. The history is in the same folder. */
  readonly config: OutboxConfig;
};

/** Samples of several tags, one tag after the other in the columns. */
export type HistoryBatch = {
  /** Unique id of the batch. A batch that arrives a second time is not stored again. */
  readonly id: string;
  readonly tags: readonly string[];
  readonly counts: readonly number[];
  readonly timesMs: Float64Array;
  readonly values: Float64Array;
  /** A QualityCode for each sample. Samples that are not good are in the rollups only. */
  readonly qualities: Uint8Array;
};

export type RollupRequest = {
  readonly tag: string;
  /** Spans that begin in [fromMs, toMs]. */
  readonly fromMs: EpochMs;
  readonly toMs: EpochMs;
  readonly resolution: RollupResolution;
};

export type HistoryPageRequest = Omit<RollupRequest, 'resolution'> & {
  /** Samples wanted in all pages; undefined returns all. A hint: the pages together hold a few times as many. */
  readonly limit: number | undefined;
  /** End of the last page; undefined for the first. */
  readonly after: EpochMs | undefined;
};

export type HistoryPage = {
  readonly timesMs: Float64Array;
  readonly values: Float64Array;
  /** Value of `after` for the next page; undefined at the end. */
  readonly next: EpochMs | undefined;
};

/** Samples that the storage has not stored: the waiting ones, and the ones dropped since it last stored all. */
export type HistoryBacklog = { readonly waiting: number; readonly dropped: number };

/** Storage of the sample history. */
export type SampleStorage = {
  readonly flushIntervalMs: number;
  /** False while no worker runs: reads fail immediately, and appends wait. */
  readonly isConnected: boolean;
  /**
   * Resolves when the batch is on disk.
   * @throws {OperatingError} 'outbox-unavailable' (retry) if the batch may be sent again.
   */
  append(batch: HistoryBatch): Promise<void>;
  /** Reports the samples that wait for the storage or were dropped, for the health. */
  reportBacklog(backlog: HistoryBacklog): void;
  read(request: HistoryPageRequest): Promise<HistoryPage>;
  rollup(request: RollupRequest): Promise<Rollup>;
};

/** State of the history, returned by every slice of upkeep. */
export type HistoryReport = {
  readonly health: StoreHealth;
  readonly bytes: number;
  /** Lines for the log, since the last report. */
  readonly notices: readonly string[];
  /** True if the next slice is due soon. */
  readonly more: boolean;
};

/** Methods of the history worker. */
export type HistoryProtocol = {
  open: { readonly params: { readonly nowMs: EpochMs }; readonly result: HistoryReport };
  append: { readonly params: HistoryBatch; readonly result: undefined };
  read: { readonly params: HistoryPageRequest; readonly result: HistoryPage };
  rollup: { readonly params: RollupRequest; readonly result: Rollup };
  upkeep: { readonly params: { readonly nowMs: EpochMs; readonly idle: boolean }; readonly result: HistoryReport };
  close: { readonly params: undefined; readonly result: undefined };
};

import { randomUUID } from 'node:crypto';
import {
  type Rollup,
  type RollupResolution,
  type SampleHistory,
  scoreSeries,
  type TagSeries,
} from '../contracts/sample-history.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';
import type { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag, TagNumber } from '../domain/sample/tag.ts';
import { BAD, GOOD, type QualityCode } from '../domain/sample/quality.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { sleep, type Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode } from '../platform/errors.ts';
import { outboxMetrics } from './file/outbox-metrics.ts';
import { SeriesBuffer } from './history/series-buffer.ts';
import type { HistoryBatch, HistoryPage, SampleStorage } from './history/history-protocol.ts';

/** Samples that make a flush due before its interval. */
const FLUSH_SAMPLES = 262_144;
/** Samples of one transaction, so that reads and upkeep run between the slices of a flush. Tags are not split. */
const SLICE_SAMPLES = 8192;
/** Limit of waiting samples while a flush is in progress. Newer ones are dropped and counted. */
const SAMPLES_MAX = 1_000_000;
/** Time for the last flush when the agent stops. */
const LAST_FLUSH_MS = 10_000;

/** A tag with its source. */
type HistoryTag = Pick<Tag, 'name' | 'source'>;

export type SampleHistoryOptions = {
  readonly storage: SampleStorage;
  /** Every tag; its number is its index. A tag of a pattern appears in this array before its first sample. */
  readonly tags: readonly HistoryTag[];
  /** Returns true for a tag to keep. Samples of other tags are ignored. Default: keeps every tag. */
  readonly keeps?: (tag: HistoryTag) => boolean;
  readonly deps: Deps;
};

type Series = { readonly name: string; readonly buffer: SeriesBuffer };

/**
 * The local historian. Good samples wait in memory, in one pair of columns for each tag, and go to the history worker in slices
 * every `outbox.historyFlushInterval`. A crash of the agent loses the waiting samples. While no worker runs, samples wait up to
 * a limit. A disk that fails loses the samples of its slice and counts them: the history matters less than records and alarms,
 * and never delays them.
 */
export class SampleHistoryStore implements SampleHistory, AsyncDisposable {
  readonly #options: SampleHistoryOptions;
  /** By tag number, from the first sample; null for a tag that is not kept. */
  readonly #series: (Series | null | undefined)[];
  /** By watch. */
  readonly #scores = new Map<string, Series>();
  readonly #taken;
  readonly #dropped;
  /** Makes the ids of batches unique across restarts. */
  readonly #run = randomUUID();
  #batches = 0;
  #waiting = 0;
  #lost = 0;
  #flushing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: SampleHistoryOptions) {
    this.#options = options;
    this.#series = options.tags.map(() => undefined);
    const metrics = options.deps.metrics.of(outboxMetrics);
    this.#taken = metrics.andon_history_samples_total.labels();
    this.#dropped = metrics.andon_history_samples_dropped_total;
  }

  /** Samples accepted and never stored, since the start. */
  get lost(): number {
    return this.#lost;
  }

  add(batch: SampleBatch): void {
    if (this.#stopped) return;
    let taken = 0;
    let dropped = 0;
    for (let index = 0; index < batch.length; index += 1) {
      const tag = batch.tags[index] ?? -1;
      const series = this.#series[tag] ?? this.#seriesOf(tag);
      if (series === null) continue;
      const quality = batch.qualities[index] as QualityCode;
      const kept = this.#push(series, batch.timesMs[index] ?? 0, batch.values[index] ?? 0, quality);
      if (quality !== GOOD) continue;
      if (kept) taken += 1;
      else dropped += 1;
    }
    this.#count(taken, dropped);
  }

  addScore({ watch, timestampMs, score }: Pick<Verdict, 'watch' | 'timestampMs' | 'score'>): void {
    if (this.#stopped) return;
    let series = this.#scores.get(watch);
    if (series === undefined) {
      series = { name: scoreSeries(watch), buffer: new SeriesBuffer() };
      this.#scores.set(watch, series);
    }
    this.#push(series, timestampMs, score ?? Number.NaN, score === undefined ? BAD : GOOD);
    this.#count(0, 0);
  }

  /** Sends every added sample to the history worker. Resolves when they are on disk or dropped. */
  async flush(): Promise<void> {
    // A flush in progress took the samples of its start. Later ones go with the next flush, which any caller may begin.
    await this.#flushing;
    if (this.#waiting > 0) {
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#flushing ??= this.#send();
    }
    await this.#flushing;
  }

  async read(tags: readonly string[], fromMs: EpochMs, toMs: EpochMs, limit?: number): Promise<readonly TagSeries[]> {
    // Without a worker a flush waits for the next one. The read then fails immediately.
    if (this.#options.storage.isConnected) await this.flush();
    const series: TagSeries[] = [];
    for (const tag of tags) series.push(await this.#readTag(tag, fromMs, toMs, limit));
    return series;
  }

  async rollups(
    tags: readonly string[],
    fromMs: EpochMs,
    toMs: EpochMs,
    resolution: RollupResolution,
  ): Promise<readonly Rollup[]> {
    if (this.#options.storage.isConnected) await this.flush();
    const rollups: Rollup[] = [];
    for (const tag of tags) rollups.push(await this.#options.storage.rollup({ tag, fromMs, toMs, resolution }));
    return rollups;
  }

  /** Flushes the waiting samples, within a time limit. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    const flushed = new AbortController();
    await Promise.race([
      this.flush().finally(() => flushed.abort()),
      sleep(this.#options.deps.clock, LAST_FLUSH_MS, flushed.signal),
    ]);
    this.#timer?.cancel();
  }

  #seriesOf(number: TagNumber): Series | null {
    const known = this.#series[number];
    if (known !== undefined) return known;
    const tag = this.#options.tags[number];
    if (tag === undefined) return null;
    const isKept = this.#options.keeps?.(tag) ?? true;
    const series = isKept ? { name: tag.name, buffer: new SeriesBuffer() } : null;
    this.#series[number] = series;
    return series;
  }

  /** @returns False if the buffer is full. */
  #push({ buffer }: Series, timeMs: EpochMs, value: number, quality: QualityCode): boolean {
    if (this.#waiting >= SAMPLES_MAX) return false;
    buffer.push(timeMs, value, quality);
    this.#waiting += 1;
    return true;
  }

  /** Counts good samples, and starts the flush that they are due for. */
  #count(taken: number, dropped: number): void {
    this.#taken.inc(taken);
    if (dropped > 0) this.#drop(dropped, 'buffer-full');
    if (this.#waiting >= FLUSH_SAMPLES) void this.flush();
    else if (this.#waiting > 0) this.#timer ??= this.#startTimer();
  }

  #startTimer(): Timer {
    const { deps, storage } = this.#options;
    return deps.clock.setTimer(() => void this.flush(), storage.flushIntervalMs, { background: true });
  }

  async #send(): Promise<void> {
    try {
      for (const batch of this.#takeSlices()) await this.#store(batch);
    } finally {
      this.#flushing = undefined;
    }
  }

  async #store(batch: HistoryBatch): Promise<void> {
    try {
      await this.#options.storage.append(batch);
    } catch (error) {
      this.#drop(batch.qualities.filter((quality) => quality === GOOD).length, errorCode(error));
    }
  }

  #drop(count: number, reason: string): void {
    this.#lost += count;
    this.#dropped.inc({ reason }, count);
  }

  /** Takes the waiting samples, in slices of at least one tag. */
  #takeSlices(): readonly HistoryBatch[] {
    const slices: HistoryBatch[] = [];
    let slice: Series[] = [];
    let samples = 0;
    for (const series of [...this.#series, ...this.#scores.values()]) {
      if (series === undefined || series === null || series.buffer.length === 0) continue;
      if (samples > 0 && samples + series.buffer.length > SLICE_SAMPLES) {
        slices.push(this.#batchOf(slice, samples));
        [slice, samples] = [[], 0];
      }
      slice.push(series);
      samples += series.buffer.length;
    }
    if (samples > 0) slices.push(this.#batchOf(slice, samples));
    this.#waiting = 0;
    return slices;
  }

  #batchOf(series: readonly Series[], samples: number): HistoryBatch {
    const timesMs = new Float64Array(samples);
    const values = new Float64Array(samples);
    const qualities = new Uint8Array(samples);
    const counts: number[] = [];
    let offset = 0;
    for (const { buffer } of series) {
      timesMs.set(buffer.columns.timesMs, offset);
      values.set(buffer.columns.values, offset);
      qualities.set(buffer.columns.qualities, offset);
      offset += buffer.length;
      counts.push(buffer.length);
      buffer.clear();
    }
    this.#batches += 1;
    const tags = series.map(({ name }) => name);
    return { id: `${this.#run}/${this.#batches}`, tags, counts, timesMs, values, qualities };
  }

  async #readTag(tag: string, fromMs: EpochMs, toMs: EpochMs, limit: number | undefined): Promise<TagSeries> {
    const buffer = new SeriesBuffer();
    let after: EpochMs | undefined;
    do {
      const page: HistoryPage = await this.#options.storage.read({ tag, fromMs, toMs, limit, after });
      buffer.append(page);
      after = page.next;
    } while (after !== undefined);
    const { timesMs, values } = buffer.columns;
    return { tag, timesMs: thinned(timesMs, limit), values: thinned(values, limit) };
  }
}

/** Returns at most `limit` elements, evenly spaced, including the first and the last. */
export function thinned(column: Float64Array, limit: number | undefined): Float64Array {
  if (limit === undefined || column.length <= limit) return column.slice();
  const step = (column.length - 1) / Math.max(1, limit - 1);
  return Float64Array.from(
    { length: Math.max(0, limit) },
    (_, index) => column[Math.round(index * step)] ?? Number.NaN,
  );
}

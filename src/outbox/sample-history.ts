import { randomUUID } from 'node:crypto';
import {
  type Rollup,
  type RollupResolution,
  type SampleHistory,
  scoreSeries,
  type TagSeries,
} from '../contracts/sample-history.ts';
import { HISTORY, type RecordStore, type Unstored } from '../contracts/record-store.ts';
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
/** Limit of waiting samples while the disk is slow, full, locked or failing. Newer ones are dropped and reported. */
const SAMPLES_MAX = 1_000_000;
/** Wait before samples that the storage refused are sent again. */
const RETRY_MS = 1000;
/** Time for the last flushes when the agent stops. */
const LAST_FLUSH_MS = 10_000;
/** Error after which samples wait and are sent again: the disk failed, not the batch. */
const RETRY_CODE = 'outbox-unavailable';
/** Reason of samples that exceed `SAMPLES_MAX`. */
const QUEUE_FULL = 'history-queue-full';

/** A tag with its source. */
type HistoryTag = Pick<Tag, 'name' | 'source'>;

export type SampleHistoryOptions = {
  readonly storage: SampleStorage;
  /** Every tag; its number is its index. A tag of a pattern appears in this array before its first sample. */
  readonly tags: readonly HistoryTag[];
  /** Returns true for a tag to keep. Samples of other tags are ignored. Default: keeps every tag. */
  readonly keeps?: (tag: HistoryTag) => boolean;
  /** Receives the good samples that were not stored. */
  readonly lost: RecordStore['lost'];
  readonly deps: Deps;
};

type Series = { readonly name: string; readonly source: string; readonly buffer: SeriesBuffer };

/** A batch, and the source of each of its tags. */
type Slice = { readonly batch: HistoryBatch; readonly sources: readonly string[] };

/**
 * The local historian. Good samples wait in memory, in one pair of columns for each tag, and go to the history worker in slices
 * every `outbox.historyFlushInterval`. A crash of the agent loses the waiting samples. While the disk is full, locked or failing,
 * or no worker runs, samples wait up to a limit. What exceeds it, and what a stop leaves, is lost and reported.
 */
export class SampleHistoryStore implements SampleHistory, AsyncDisposable {
  readonly #options: SampleHistoryOptions;
  /** By tag number, from the first sample; null for a tag that is not kept. */
  readonly #series: (Series | null | undefined)[];
  /** Samples that wait although their tag is another one now. */
  #ended: Series[] = [];
  /** By watch. */
  readonly #scores = new Map<string, Series>();
  readonly #accepted;
  readonly #dropped;
  /** Makes the ids of batches unique across restarts. */
  readonly #run = randomUUID();
  #batches = 0;
  /** Samples in the columns of the series. */
  #waiting = 0;
  /** Slices that the storage has not stored, in order. Their samples have left the series. */
  #slices: Slice[] = [];
  /** Samples in the slices. */
  #taken = 0;
  #isRefused = false;
  #lost = 0;
  /** Samples dropped since everything was stored. */
  #droppedNow = 0;
  #flushing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: SampleHistoryOptions) {
    this.#options = options;
    this.#series = options.tags.map(() => undefined);
    const metrics = options.deps.metrics.of(outboxMetrics);
    this.#accepted = metrics.andon_history_samples_total.labels();
    this.#dropped = metrics.andon_history_samples_dropped_total;
  }

  /** Samples accepted and never stored, since the start. */
  get lost(): number {
    return this.#lost;
  }

  /** True while the storage refuses samples, which wait. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  add(batch: SampleBatch): void {
    if (this.#stopped) return;
    let accepted = 0;
    const dropped: Unstored[] = [];
    for (let index = 0; index < batch.length; index += 1) {
      const tag = batch.tags[index] ?? -1;
      const series = this.#series[tag] ?? this.#seriesOf(tag);
      if (series === null) continue;
      const quality = batch.qualities[index] as QualityCode;
      const timeMs = batch.timesMs[index] ?? 0;
      const isKept = this.#push(series, timeMs, batch.values[index] ?? 0, quality);
      if (quality !== GOOD) continue;
      if (isKept) accepted += 1;
      else dropped.push({ kind: HISTORY, timestampMs: timeMs, watch: series.source });
    }
    this.#count(accepted, dropped);
  }

  addScore({ watch, timestampMs, score }: Pick<Verdict, 'watch' | 'timestampMs' | 'score'>): void {
    if (this.#stopped) return;
    let series = this.#scores.get(watch);
    if (series === undefined) {
      const name = scoreSeries(watch);
      series = { name, source: name, buffer: new SeriesBuffer() };
      this.#scores.set(watch, series);
    }
    const isKept = this.#push(series, timestampMs, score ?? Number.NaN, score === undefined ? BAD : GOOD);
    const isLost = !isKept && score !== undefined;
    this.#count(0, isLost ? [{ kind: HISTORY, timestampMs, watch: series.source }] : []);
  }

  /** Looks up again which tags are kept, after a change of the tags or of the rule. */
  change(): void {
    for (const [number, series] of this.#series.entries()) {
      if (series === undefined) continue;
      const tag = this.#keptTag(number);
      if (series?.name === tag?.name && series?.source === tag?.source) continue;
      this.#series[number] = undefined;
      if (series !== null) this.#ended.push(series);
    }
  }

  /**
   * Sends every added sample to the history worker. Resolves when they are on disk, dropped, or refused: then `isRefused` is true,
   * and they are sent again.
   */
  async flush(): Promise<void> {
    // A flush in progress took the samples of its start. Later ones go with the next flush, which any caller may begin.
    await this.#flushing;
    if (this.#samplesWaiting > 0) {
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

  /** Flushes the waiting samples, within a time limit. What is left is lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    const flushed = new AbortController();
    await Promise.race([
      this.#flushUntilStored(flushed.signal).finally(() => flushed.abort()),
      sleep(this.#options.deps.clock, LAST_FLUSH_MS, flushed.signal),
    ]);
    flushed.abort();
    this.#timer?.cancel();
    for (const slice of [...this.#slices.splice(0), ...this.#takeSlices()]) this.#dropSlice(slice, 'agent-stopped');
  }

  async #flushUntilStored(end: AbortSignal): Promise<void> {
    await this.flush();
    while (this.#samplesWaiting > 0 && !end.aborted) {
      await sleep(this.#options.deps.clock, RETRY_MS, end);
      if (!end.aborted) await this.flush();
    }
  }

  /** Samples that are not on disk. */
  get #samplesWaiting(): number {
    return this.#waiting + this.#taken;
  }

  #seriesOf(number: TagNumber): Series | null {
    const known = this.#series[number];
    if (known !== undefined) return known;
    const tag = this.#keptTag(number);
    const series = tag === undefined ? null : { name: tag.name, source: tag.source, buffer: new SeriesBuffer() };
    this.#series[number] = series;
    return series;
  }

  #keptTag(number: TagNumber): HistoryTag | undefined {
    const tag = this.#options.tags[number];
    return tag !== undefined && (this.#options.keeps?.(tag) ?? true) ? tag : undefined;
  }

  /** @returns False if the buffer is full. */
  #push({ buffer }: Series, timeMs: EpochMs, value: number, quality: QualityCode): boolean {
    if (this.#waiting + this.#taken >= SAMPLES_MAX) return false;
    buffer.push(timeMs, value, quality);
    this.#waiting += 1;
    return true;
  }

  /** Counts good samples, and starts the flush that they are due for. */
  #count(accepted: number, dropped: readonly Unstored[]): void {
    this.#accepted.inc(accepted);
    if (dropped.length > 0) this.#drop(dropped, QUEUE_FULL);
    if (this.#waiting >= FLUSH_SAMPLES && !this.#isRefused) void this.flush();
    else if (this.#waiting > 0) this.#startTimer(this.#options.storage.flushIntervalMs);
  }

  #startTimer(delayMs: number): void {
    this.#timer ??= this.#options.deps.clock.setTimer(() => void this.flush(), delayMs, { background: true });
  }

  async #send(): Promise<void> {
    try {
      // Samples that were refused before go first.
      const isDrained = await this.#storeSlices();
      if (!isDrained) return;
      this.#slices = this.#takeSlices();
      await this.#storeSlices();
    } finally {
      this.#flushing = undefined;
      if (this.#samplesWaiting === 0) this.#droppedNow = 0;
      else if (this.#isRefused && !this.#stopped) this.#startTimer(RETRY_MS);
      this.#reportBacklog();
    }
  }

  /** @returns False if the storage refuses samples for now. */
  async #storeSlices(): Promise<boolean> {
    for (let slice = this.#slices[0]; slice !== undefined; slice = this.#slices[0]) {
      const error = await this.#errorOf(this.#options.storage.append(slice.batch));
      // The agent stopped meanwhile, and has reported the slice.
      if (this.#slices[0] !== slice) return false;
      this.#isRefused = error !== undefined && errorCode(error) === RETRY_CODE;
      if (this.#isRefused) return false;
      this.#slices.shift();
      this.#taken -= slice.batch.timesMs.length;
      if (error !== undefined) this.#dropSlice(slice, errorCode(error));
    }
    return true;
  }

  async #errorOf(work: Promise<void>): Promise<unknown> {
    try {
      await work;
      return undefined;
    } catch (error) {
      return error ?? new Error('rejected without an error');
    }
  }

  #dropSlice({ batch: { counts, timesMs, qualities }, sources }: Slice, reason: string): void {
    let end = 0;
    const lost = counts.flatMap((count, tag) => {
      end += count;
      const times = timesMs.subarray(end - count, end).filter((_, index) => qualities[end - count + index] === GOOD);
      if (times.length === 0) return [];
      const timestampMs = times.reduce((first, time) => Math.min(first, time));
      const toMs = times.reduce((last, time) => Math.max(last, time));
      return [{ kind: HISTORY, timestampMs, toMs, watch: sources[tag], count: times.length } as const];
    });
    this.#drop(lost, reason);
  }

  #drop(lost: readonly Unstored[], reason: string): void {
    if (lost.length === 0) return;
    const samples = lost.reduce((sum, { count = 1 }) => sum + count, 0);
    this.#lost += samples;
    this.#droppedNow += samples;
    this.#dropped.inc({ reason }, samples);
    this.#options.lost(lost, reason);
    this.#reportBacklog();
  }

  #reportBacklog(): void {
    const waiting = this.#isRefused ? this.#samplesWaiting : 0;
    this.#options.storage.reportBacklog({ waiting, dropped: this.#droppedNow });
  }

  /** Takes the waiting samples, in slices of at least one tag. */
  #takeSlices(): Slice[] {
    const slices: Slice[] = [];
    let slice: Series[] = [];
    let samples = 0;
    for (const series of [...this.#ended, ...this.#series, ...this.#scores.values()]) {
      if (series === undefined || series === null || series.buffer.length === 0) continue;
      if (samples > 0 && samples + series.buffer.length > SLICE_SAMPLES) {
        slices.push(this.#sliceOf(slice, samples));
        [slice, samples] = [[], 0];
      }
      slice.push(series);
      samples += series.buffer.length;
    }
    if (samples > 0) slices.push(this.#sliceOf(slice, samples));
    this.#taken += this.#waiting;
    this.#waiting = 0;
    this.#ended = [];
    return slices;
  }

  #sliceOf(series: readonly Series[], samples: number): Slice {
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
    const batch = { id: `${this.#run}/${this.#batches}`, tags, counts, timesMs, values, qualities };
    return { batch, sources: series.map(({ source }) => source) };
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

import type { SampleHistory, TagSeries } from '../contracts/sample-history.ts';
import type { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { TagNumber } from '../domain/sample/tag.ts';
import { GOOD } from '../domain/sample/quality.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode } from '../platform/errors.ts';
import { outboxMetrics } from './file/outbox-metrics.ts';
import { SeriesBuffer } from './history/series-buffer.ts';
import type { HistoryBatch, HistoryPage, HistoryPageRequest } from './file/storage-protocol.ts';

/** Samples that make a flush due before its interval. */
const FLUSH_SAMPLES = 65_536;
/** Samples that wait at most, while a flush is under way or fails; newer ones are dropped and counted. */
const SAMPLES_MAX = 1_000_000;

/** What the history needs of the outbox: the worker it shares. */
type SampleStorage = {
  readonly historyFlushIntervalMs: number;
  appendSamples(batch: HistoryBatch): Promise<void>;
  readSamples(request: HistoryPageRequest): Promise<HistoryPage>;
};

export type SampleHistoryOptions = {
  readonly outbox: SampleStorage;
  /** The tags to keep; samples of others are passed over. */
  readonly tags: readonly { readonly number: TagNumber; readonly name: string }[];
  readonly deps: Deps;
};

/**
 * The box's own historian. Good samples wait in memory, in one pair of columns a tag, and go to the storage worker every
 * `outbox.historyFlushInterval`; a crash loses those. A flush that fails loses its samples too, and that is counted: the history
 * is the least of what is stored, and never holds up records or alarms.
 */
export class SampleHistoryStore implements SampleHistory, AsyncDisposable {
  readonly #options: SampleHistoryOptions;
  /** By tag number. */
  readonly #series = new Map<TagNumber, { readonly name: string; readonly buffer: SeriesBuffer }>();
  readonly #taken;
  readonly #dropped;
  #waiting = 0;
  #lost = 0;
  #flushing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: SampleHistoryOptions) {
    this.#options = options;
    for (const { number, name } of options.tags) this.#series.set(number, { name, buffer: new SeriesBuffer() });
    const metrics = options.deps.metrics.of(outboxMetrics);
    this.#taken = metrics.andon_history_samples_total.labels();
    this.#dropped = metrics.andon_history_samples_dropped_total;
  }

  /** Samples taken and never stored, since the start. */
  get lost(): number {
    return this.#lost;
  }

  add(batch: SampleBatch): void {
    if (this.#stopped) return;
    let taken = 0;
    const room = SAMPLES_MAX - this.#waiting;
    for (let index = 0; index < batch.length; index += 1) {
      if (batch.qualities[index] !== GOOD) continue;
      const series = this.#series.get(batch.tags[index] ?? -1);
      if (series === undefined) continue;
      taken += 1;
      if (taken <= room) series.buffer.push(batch.timesMs[index] ?? 0, batch.values[index] ?? 0);
    }
    const kept = Math.min(taken, room);
    if (kept < taken) this.#drop(taken - kept, 'buffer-full');
    this.#waiting += kept;
    this.#taken.inc(kept);
    if (this.#waiting >= FLUSH_SAMPLES) void this.flush();
    else if (this.#waiting > 0) this.#timer ??= this.#startTimer();
  }

  /** Hands everything added so far to the storage worker; resolves when it is on the disk or dropped. */
  async flush(): Promise<void> {
    // A flush under way took what was there when it began; what has come since goes with the next, whoever begins it.
    await this.#flushing;
    if (this.#waiting > 0) {
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#flushing ??= this.#send();
    }
    await this.#flushing;
  }

  async read(tags: readonly string[], fromMs: EpochMs, toMs: EpochMs, limit?: number): Promise<readonly TagSeries[]> {
    await this.flush();
    const series: TagSeries[] = [];
    for (const tag of tags) series.push(await this.#readTag(tag, fromMs, toMs, limit));
    return series;
  }

  /** Flushes what waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.flush();
    this.#timer?.cancel();
  }

  #startTimer(): Timer {
    const { deps, outbox } = this.#options;
    return deps.clock.setTimer(() => void this.flush(), outbox.historyFlushIntervalMs, { background: true });
  }

  async #send(): Promise<void> {
    const batch = this.#takeBatch();
    try {
      await this.#options.outbox.appendSamples(batch);
    } catch (error) {
      this.#drop(batch.timesMs.length, errorCode(error));
    } finally {
      this.#flushing = undefined;
    }
  }

  #drop(count: number, reason: string): void {
    this.#lost += count;
    this.#dropped.inc({ reason }, count);
  }

  #takeBatch(): HistoryBatch {
    const timesMs = new Float64Array(this.#waiting);
    const values = new Float64Array(this.#waiting);
    const tags: string[] = [];
    const counts: number[] = [];
    let offset = 0;
    for (const { name, buffer } of this.#series.values()) {
      if (buffer.length === 0) continue;
      const { columns } = buffer;
      timesMs.set(columns.timesMs, offset);
      values.set(columns.values, offset);
      offset += buffer.length;
      tags.push(name);
      counts.push(buffer.length);
      buffer.clear();
    }
    this.#waiting = 0;
    return { tags, counts, timesMs, values };
  }

  async #readTag(tag: string, fromMs: EpochMs, toMs: EpochMs, limit: number | undefined): Promise<TagSeries> {
    const buffer = new SeriesBuffer();
    let after: EpochMs | undefined;
    do {
      const page: HistoryPage = await this.#options.outbox.readSamples({ tag, fromMs, toMs, limit, after });
      buffer.append(page);
      after = page.next;
    } while (after !== undefined);
    const { timesMs, values } = buffer.columns;
    return { tag, timesMs: thinned(timesMs, limit), values: thinned(values, limit) };
  }
}

/** At most `limit` elements, evenly spread, the first and the last among them. */
export function thinned(column: Float64Array, limit: number | undefined): Float64Array {
  if (limit === undefined || column.length <= limit) return column.slice();
  const step = (column.length - 1) / Math.max(1, limit - 1);
  return Float64Array.from(
    { length: Math.max(0, limit) },
    (_, index) => column[Math.round(index * step)] ?? Number.NaN,
  );
}

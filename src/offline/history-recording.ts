import { dirname, join } from 'node:path';
import type { WatchBinding } from '../config/watch-binding.ts';
import type { MarkedPeriod } from '../contracts/operation/annotations.ts';
import type { TagSeries } from '../contracts/sample-history.ts';
import { suppresses } from '../domain/alarm/suppression.ts';
import { type EpochMs, isoTime } from '../domain/epoch-ms.ts';
import { parseDurationMs } from '../domain/duration.ts';
import { markedPeriods } from '../outbox/annotations/marked-periods.ts';
import { HistoryReader } from '../outbox/history/history-reader.ts';
import type { SuppressWhen } from '../pipeline/watch-config.ts';
import { parseTimeText } from '../domain/time-text.ts';
import { plausibleEpochMs } from '../domain/time-unit.ts';
import type { RecordedRow, Recording } from './recording.ts';
import { trainingFailure } from '../training/core/training-errors.ts';

/** Time span of one read: 50 tags at ten samples a second are 1.8 million samples. */
const SLICE_MS = 3_600_000;

/** Rows before a period that people marked as normal, with which its first windows are full. */
const LEAD_ROWS = 120;
/** Distance of rows without a step. */
export const SCAN_ROW_MS = 1000;

export type HistoryOrder = {
  /** `outbox.path`; the history is in the same folder. */
  readonly outboxPath: string;
  readonly tags: readonly string[];
  /** Times to read; undefined reads all that is kept. */
  readonly times?: readonly HistorySpan[];
  /** Grid of the watch; undefined for a row of each scan. */
  readonly stepMs: number | undefined;
  /** Periods that people marked: labels of their rows. In doubt, a row is a fault. */
  readonly marked?: readonly MarkedPeriod[];
  /** State that suppresses the alarm of the watch. */
  readonly suppressWhen?: SuppressWhen | undefined;
};

/** The end is not included. Undefined is the first or the last sample that is kept. */
export type HistorySpan = { readonly fromMs: EpochMs | undefined; readonly toMs: EpochMs | undefined };

/** The box's own history as a recording: a row for each time at which any of the tags has a sample. */
export function historyRecording(order: HistoryOrder): Recording {
  return {
    name: 'history',
    usualMs: order.stepMs,
    hasTimes: true,
    marked: order.marked ?? [],
    labelNumber: Number,
    notes: [],
    timeNotes: [],
    rows: () => historyRows(order),
  };
}

/** Returns the history of a watch. A training also gets the periods that people marked as normal, at any time. */
export function watchHistory(
  { id, watch }: WatchBinding,
  outboxPath: string,
  times: HistorySpan,
  purpose: 'train' | 'evaluate',
): Recording {
  const marked = markedPeriods(outboxPath, id);
  const { stepMs } = watch.window;
  const leadMs = LEAD_ROWS * (stepMs === 'scan' ? SCAN_ROW_MS : stepMs);
  return historyRecording({
    outboxPath,
    tags: watch.tags,
    times: [
      times,
      ...(purpose === 'train'
        ? timesOf(
            marked.filter(({ label }) => label === 'normal'),
            leadMs,
          )
        : []),
    ],
    stepMs: stepMs === 'scan' ? undefined : stepMs,
    marked,
    suppressWhen: watch.alarm?.suppressWhen,
  });
}

/** @throws {OperatingError} 'history-unavailable' (retry), 'history-empty' (reject) if a tag has no sample. */
export async function* historyRows(order: HistoryOrder): AsyncGenerator<RecordedRow, void, undefined> {
  using reader = new HistoryReader(join(dirname(order.outboxPath), 'history.db'));
  const { marked = [] } = order;
  const faults = marked.filter(({ label }) => label === 'fault');
  const labelOf = (timeMs: EpochMs) => {
    if (isWithin(faults, timeMs)) return 'fault';
    return isWithin(marked, timeMs) ? 'normal' : '';
  };
  const state = new SuppressionHistory(reader, order.suppressWhen);
  let row = 0;
  for (const { fromMs, toMs } of spansOf(reader, order)) {
    state.start(fromMs);
    for (let sliceMs = fromMs; sliceMs < toMs; sliceMs += SLICE_MS) {
      const endMs = Math.min(sliceMs + SLICE_MS, toMs);
      state.read(sliceMs, endMs);
      for (const { timeMs, values } of merged(order.tags.map((tag) => reader.read(tag, sliceMs, endMs)))) {
        yield { row, timeMs, timeText: isoTime(timeMs), label: labelOf(timeMs), suppressed: state.at(timeMs), values };
        row += 1;
      }
    }
  }
}

/** Tells by time if the alarm of a watch is suppressed. The last value of the tag holds, as it does live. */
class SuppressionHistory {
  readonly #reader: HistoryReader;
  readonly #when: SuppressWhen | undefined;
  #samples: Pick<TagSeries, 'timesMs' | 'values'> = { timesMs: new Float64Array(), values: new Float64Array() };
  #next = 0;
  #suppressed = false;

  constructor(reader: HistoryReader, when: SuppressWhen | undefined) {
    this.#reader = reader;
    this.#when = when;
  }

  /** Begins a span with the last value before it. */
  start(fromMs: EpochMs): void {
    this.#suppressed = false;
    this.read(fromMs - SLICE_MS, fromMs);
    this.at(fromMs);
  }

  read(fromMs: EpochMs, toMs: EpochMs): void {
    if (this.#when === undefined) return;
    this.#samples = this.#reader.read(this.#when.tag, fromMs, toMs);
    this.#next = 0;
  }

  /** @param timeMs Ascending, within what was read. */
  at(timeMs: EpochMs): boolean {
    const { timesMs, values } = this.#samples;
    for (; (timesMs[this.#next] ?? Infinity) <= timeMs; this.#next += 1)
      this.#suppressed = this.#when !== undefined && suppresses(this.#when, values[this.#next] ?? Number.NaN);
    return this.#suppressed;
  }
}

function isWithin(periods: readonly Pick<MarkedPeriod, 'fromMs' | 'toMs'>[], timeMs: EpochMs): boolean {
  return periods.some(({ fromMs, toMs }) => fromMs <= timeMs && timeMs <= toMs);
}

/** Returns the times to read, in order and apart from each other. */
function spansOf(reader: HistoryReader, order: HistoryOrder): readonly { fromMs: EpochMs; toMs: EpochMs }[] {
  const kept = extentOf(reader, order);
  const wanted = (order.times ?? [{ fromMs: undefined, toMs: undefined }]).map(({ fromMs, toMs }) => ({
    fromMs: Math.max(fromMs ?? kept.fromMs, kept.fromMs),
    toMs: Math.min(toMs ?? kept.toMs, kept.toMs),
  }));
  const spans: { fromMs: EpochMs; toMs: EpochMs }[] = [];
  for (const span of wanted.filter(({ fromMs, toMs }) => fromMs < toMs).toSorted((a, b) => a.fromMs - b.fromMs)) {
    const last = spans.at(-1);
    if (last === undefined || span.fromMs > last.toMs) spans.push(span);
    else last.toMs = Math.max(last.toMs, span.toMs);
  }
  return spans;
}

function extentOf(reader: HistoryReader, order: HistoryOrder): { readonly fromMs: number; readonly toMs: number } {
  const kept = order.tags.map((tag) => ({ tag, extent: reader.extent(tag) }));
  const without = kept.filter(({ extent }) => extent === undefined).map(({ tag }) => tag);
  if (without.length > 0)
    throw trainingFailure(
      'history-empty',
      `The history has no sample of ${without.join(', ')}; it has ${reader.tags().join(', ') || 'nothing yet'}`,
    );
  const first = Math.min(...kept.map(({ extent }) => extent?.fromMs ?? Infinity));
  const last = Math.max(...kept.map(({ extent }) => extent?.toMs ?? -Infinity));
  return { fromMs: first, toMs: last + 1 };
}

/** Returns the times of periods as times to read. */
export function timesOf(periods: readonly MarkedPeriod[], leadMs = 0): readonly HistorySpan[] {
  return periods.map(({ fromMs, toMs }) => ({ fromMs: fromMs - leadMs, toMs: toMs + 1 }));
}

/** Yields samples of several tags by time; NaN if a tag has none at that time. */
function* merged(
  series: readonly TagSeries[],
): Generator<{ readonly timeMs: EpochMs; readonly values: Float64Array }, void, undefined> {
  const next = new Uint32Array(series.length);
  for (;;) {
    let timeMs = Infinity;
    for (const [column, { timesMs }] of series.entries()) {
      const candidate = timesMs[next[column] ?? 0] ?? Infinity;
      if (candidate < timeMs) timeMs = candidate;
    }
    if (timeMs === Infinity) return;
    const values = new Float64Array(series.length).fill(Number.NaN);
    for (const [column, { timesMs, values: own }] of series.entries()) {
      const at = next[column] ?? 0;
      if (timesMs[at] !== timeMs) continue;
      values[column] = own[at] ?? Number.NaN;
      next[column] = at + 1;
    }
    yield { timeMs, values };
  }
}

/**
 * Reads a time of `--from` or `--to`: ISO 8601, or an age such as `24h`.
 * @throws {OperatingError} 'rows-invalid' (reject).
 */
export function parseMoment(text: string | undefined, nowMs: EpochMs): EpochMs | undefined {
  if (text === undefined) return undefined;
  const ageMs = parseDurationMs(text);
  const timeMs = ageMs === undefined ? momentOf(text) : nowMs - ageMs;
  if (timeMs !== undefined) return timeMs;
  throw trainingFailure(
    'rows-invalid',
    `'${text}' is no time: expected such as 2026-01-31T08:00:00Z, or an age such as 24h`,
  );
}

/** A time without a zone is UTC. */
function momentOf(text: string): EpochMs | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return plausibleEpochMs(Number(text));
  const written = parseTimeText(text);
  return written === undefined ? undefined : written.localMs - (written.offsetMs ?? 0);
}

import { dirname, join } from 'node:path';
import type { TagSeries } from '../contracts/sample-history.ts';
import { type EpochMs, isoTime } from '../domain/epoch-ms.ts';
import { parseDurationMs } from '../domain/duration.ts';
import { HistoryReader } from '../outbox/history/history-reader.ts';
import { parseTimeText } from '../domain/time-text.ts';
import { plausibleEpochMs } from '../domain/time-unit.ts';
import type { RecordedRow, Recording } from './recording.ts';
import { trainingFailure } from '../training/core/training-errors.ts';

/** Time span of one read: 50 tags at ten samples a second are 1.8 million samples. */
const SLICE_MS = 3_600_000;

export type HistoryOrder = {
  /** `outbox.path`; the history is in the same folder. */
  readonly outboxPath: string;
  readonly tags: readonly string[];
  /** Undefined begins with the first sample that is kept. */
  readonly fromMs: EpochMs | undefined;
  /** Not included; undefined ends with the last sample. */
  readonly toMs: EpochMs | undefined;
  /** Grid of the watch; undefined for a row of each scan. */
  readonly stepMs: number | undefined;
};

/** The box's own history as a recording: a row for each time at which any of the tags has a sample. */
export function historyRecording(order: HistoryOrder): Recording {
  return {
    name: 'history',
    usualMs: order.stepMs,
    hasTimes: true,
    labelNumber: Number,
    notes: [],
    timeNotes: [],
    rows: () => historyRows(order),
  };
}

/** @throws {OperatingError} 'history-unavailable' (retry), 'history-empty' (reject) if a tag has no sample. */
export async function* historyRows(order: HistoryOrder): AsyncGenerator<RecordedRow, void, undefined> {
  using reader = new HistoryReader(join(dirname(order.outboxPath), 'history.db'));
  const { fromMs, toMs } = extentOf(reader, order);
  let row = 0;
  for (let sliceMs = fromMs; sliceMs < toMs; sliceMs += SLICE_MS) {
    const endMs = Math.min(sliceMs + SLICE_MS, toMs);
    for (const { timeMs, values } of merged(order.tags.map((tag) => reader.read(tag, sliceMs, endMs)))) {
      yield { row, timeMs, timeText: isoTime(timeMs), label: '', values };
      row += 1;
    }
  }
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
  return { fromMs: Math.max(order.fromMs ?? first, first), toMs: Math.min(order.toMs ?? Infinity, last + 1) };
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

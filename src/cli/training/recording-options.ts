import type { LoadedConfig } from '../../config/config-file.ts';
import { parseMoment, watchHistory } from '../../offline/history-recording.ts';
import type { RecordedRows } from '../../offline/recorded-feed.ts';
import { csvRecording, parseColumns, parseRowRange } from '../../offline/recording.ts';
import { bindWatch, type WatchBinding } from '../../config/watch-binding.ts';
import { parseDurationMs } from '../../domain/duration.ts';
import type { OperatingError } from '../../platform/errors.ts';
import { type CsvCommandOptions, notationOf } from '../output/csv-options.ts';
import { trainingFailure } from '../../training/core/training-errors.ts';

/** Options of `train` and `evaluate` that select the rows. */
export type RecordingOptions = CsvCommandOptions & {
  readonly watch: string;
  readonly csv?: string;
  readonly rows?: string;
  readonly columns?: string;
  readonly time?: string;
  readonly step?: string;
  readonly label?: string;
  readonly from?: string;
  readonly to?: string;
};

/** @throws {OperatingError} 'watch-unknown' | 'rows-invalid' | 'csv-…' (reject). */
export async function chooseRecording(
  { config }: LoadedConfig,
  options: RecordingOptions,
  nowMs: number,
  purpose: 'train' | 'evaluate',
): Promise<RecordedRows> {
  const bound = bindWatch(config, options.watch);
  const binding = options.step === undefined ? bound : withStep(bound, options.step);
  const { watch } = binding;
  if (options.csv === undefined) {
    if (options.rows !== undefined) throw invalid('--rows counts the rows of a CSV: name it with --csv');
    const times = { fromMs: parseMoment(options.from, nowMs), toMs: parseMoment(options.to, nowMs) };
    const recording = watchHistory(binding, config.outbox.path, times, purpose);
    return { binding, recording, range: parseRowRange(undefined), pacing: 'times' };
  }
  if (options.from !== undefined || options.to !== undefined)
    throw invalid('--from and --to are times of the history; for a CSV use --rows');
  const range = parseRowRange(options.rows);
  const recording = await csvRecording({
    path: options.csv,
    tags: watch.tags,
    columns: parseColumns(options.columns),
    timeColumn: options.time,
    labelColumn: options.label,
    suppressWhen: watch.alarm?.suppressWhen,
    notation: notationOf(options),
  });
  const pacing = options.step === undefined ? 'rows' : 'times';
  if (pacing === 'times' && !recording.hasTimes)
    throw invalid(`${options.csv} has no time column for --step. Name it with --time`);
  return { binding, recording, range, pacing };
}

/** Returns what the reader of the recording assumed; about its times only if they are used. */
export function recordingNotes({ recording, pacing }: RecordedRows): readonly string[] {
  const notes = pacing === 'times' ? [...recording.notes, ...recording.timeNotes] : recording.notes;
  return notes.map((note) => `${recording.name}: ${note}`);
}

function withStep(binding: WatchBinding, text: string): WatchBinding {
  const stepMs = parseDurationMs(text);
  if (stepMs === undefined || stepMs < 1) throw invalid(`--step ${text}: expected a duration such as 1s or 200ms`);
  const { watch } = binding;
  const hop = watch.window.hopMs;
  const hopMs = hop === undefined || hop === 'scan' ? hop : Math.max(stepMs, Math.round(hop / stepMs) * stepMs);
  return { ...binding, watch: { ...watch, window: { ...watch.window, stepMs, hopMs } } };
}

function invalid(message: string): OperatingError {
  return trainingFailure('rows-invalid', message);
}

import type { ReportFacts } from '../training/report/training-report.ts';
import { createHash } from 'node:crypto';
import { windowPlan } from '../pipeline/watch.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import { formatDuration } from '../domain/duration.ts';
import type { OperatingError } from '../platform/errors.ts';
import type { TrainingTask } from '../training/core/algorithm.ts';
import { DataCheck, type DataFinding } from '../training/report/data-check.ts';
import type { LabelledRows } from '../training/core/labelled-rows.ts';
import { RowCollector } from '../training/core/row-collector.ts';
import type { TrainingRows } from '../training/core/training-rows.ts';
import { RecordedFeed, type RecordedRows } from './recorded-feed.ts';
import { isNormalLabel } from './recording.ts';
import { trainingFailure } from '../training/core/training-errors.ts';

/**
 * Rows × tags that a model is fitted on. More are read and checked, and an even selection of them is kept: it bounds
 * memory and time on a small box, and weeks of one state teach no more than many half-hours of it.
 */
const KEPT_VALUES_MAX = 2_000_000;
/** Rows between two reports of progress. */
const PROGRESS_ROWS = 20_000;
/** Maximum number of classes. */
const CLASSES_MAX = 50;

/** Training rows of a recording. */
export type ReadRows = LabelledRows &
  Pick<ReportFacts, 'rowsRead' | 'findings' | 'provenance'> & {
    readonly classes: readonly string[];
    /** Time of each row of each segment, epoch ms; undefined if the recording has no times. */
    readonly timesMs: readonly Float64Array[] | undefined;
    /** Anomalies: labelled rows. Those of faults are not among the segments. */
    readonly markedRows: { readonly fault: number; readonly normal: number };
  };

export type ReadOrder = RecordedRows & {
  readonly task: TrainingTask;
  readonly labelled: boolean;
  readonly onProgress: (rows: number) => void;
};

/**
 * Reads a recording through the live windower, row by row, in bounded memory.
 *
 * For anomalies, rows with an abnormal label are excluded.
 *
 * @throws {OperatingError} 'training-too-few-rows' | 'training-labels-invalid' (reject) and what the recording throws.
 */
export async function readTrainingRows(order: ReadOrder): Promise<ReadRows> {
  const { recording, range, pacing, binding, task } = order;
  const { watch, tags } = binding;
  const labels = new LabelCodes(order);
  const { stepMs } = watch.window;
  const byRows = pacing === 'rows';
  const check = new DataCheck(watch.tags, byRows || stepMs === 'scan' ? recording.usualMs : stepMs);
  const collector = new RowCollector(tags.length + 2, KEPT_VALUES_MAX);
  const hash = createHash('sha256');
  const span = { first: '', last: '' };
  // The tags, the code of the label, and the time.
  const columns = new Float64Array(tags.length + 2);
  let rowsRead = 0;
  const plan = { ...windowPlan(watch, 1), hopMs: stepMs, minGood: 0 };
  let lastMs = Number.NaN;
  let gridRows = 0;
  const missing = tags.map(() => 0);
  const isMarked = recording.marked.length > 0;
  let suppressedRows = 0;
  const markedRows = { fault: 0, normal: 0 };
  const feed = new RecordedFeed({
    tags,
    plan,
    pacing,
    onDue: ({ lastRow, timestampMs }, { label, timeMs, suppressed }) => {
      hash.update(lastRow);
      if (!byRows) check.add(lastRow, timestampMs);
      // The windower restarted after a long gap.
      if (stepMs !== 'scan' && timestampMs - lastMs > stepMs) collector.endRun();
      lastMs = timestampMs;
      columns.set(lastRow);
      columns[tags.length] = labels.codeOf(label);
      // By rows, the windower counts steps and knows no times.
      columns[tags.length + 1] = byRows ? (timeMs ?? Number.NaN) : timestampMs;
      gridRows += 1;
      for (const [tag, value] of lastRow.entries()) if (!Number.isFinite(value)) missing[tag] = (missing[tag] ?? 0) + 1;
      const isNormal = task === 'anomaly' ? isNormalLabel(label) : undefined;
      if (isNormal !== undefined) markedRows[isNormal ? 'normal' : 'fault'] += 1;
      if (suppressed) suppressedRows += 1;
      if (!suppressed && isNormal !== false && lastRow.every(Number.isFinite))
        collector.add(columns, isMarked && isNormal);
      else collector.endRun();
    },
  });
  for await (const row of recording.rows()) {
    if (row.row < range.first) continue;
    if (row.row > range.last) break;
    if (byRows) check.add(row.values, row.timeMs);
    feed.add(row);
    if (span.first === '') span.first = row.timeText;
    span.last = row.timeText;
    rowsRead += 1;
    if (rowsRead % PROGRESS_ROWS === 0) order.onProgress(rowsRead);
  }
  feed.end();
  if (rowsRead === 0)
    throw trainingFailure('training-too-few-rows', `${recording.name} has no row in the requested range`);
  if (collector.rows === 0 && missing.some((count) => count > 0)) throw noCompleteRow(watch, missing, gridRows);
  const runs = collector.runs();
  const segments = runs.map((run) => columnsOf(run, 0, tags.length));
  return {
    segments,
    targets: order.labelled && task !== 'anomaly' ? runs.map((run) => labels.targets(run, tags.length)) : undefined,
    classes: task === 'classification' ? labels.classes() : [],
    timesMs: recording.hasTimes
      ? runs.map((run) => columnsOf(run, tags.length + 1, tags.length + 2).values)
      : undefined,
    markedRows,
    rowsRead: check.rows,
    findings: [...check.findings(segments, feed.outside), ...feedFindings(watch, feed.lateSamples, suppressedRows)],
    provenance: provenanceOf(order, check.rows, span, `sha256:${hash.digest('hex')}`),
  };
}

function provenanceOf(
  { recording, range, pacing }: ReadOrder,
  rows: number,
  span: { readonly first: string; readonly last: string },
  fingerprint: string,
) {
  return {
    data: recording.name,
    ...(pacing === 'rows' ? { firstRow: range.first, lastRow: range.first + rows - 1 } : {}),
    ...(span.first === '' ? {} : { from: span.first, to: span.last }),
    rowsRead: rows,
    fingerprint,
  };
}

/** Names the tag that is missing most: its values are further apart than they count, or the recording has none. */
function noCompleteRow(watch: WatchConfig, missing: readonly number[], rows: number): OperatingError {
  const most = missing.indexOf(Math.max(...missing));
  const maxAge = formatDuration(windowPlan(watch, 1).maxAgeMs);
  return trainingFailure(
    'training-too-few-rows',
    `None of ${rows} rows has a value of every tag. '${watch.tags[most]}' is missing in ${missing[most]}: a value counts for window.maxAge, ${maxAge}. Raise maxAge above the time between two values of this tag, or leave the tag out`,
  );
}

function feedFindings({ alarm }: WatchConfig, late: number, suppressed: number): readonly DataFinding[] {
  const found: DataFinding[] = [];
  const lateText = `${late} values came after later ones, too late for their row`;
  if (late > 0) found.push({ kind: 'order', tag: undefined, message: lateText });
  const suppressedText = `suppresses the alarm in ${suppressed} rows, which were left out`;
  if (suppressed > 0) found.push({ kind: 'suppressed', tag: alarm?.suppressWhen?.tag, message: suppressedText });
  return found;
}

/** Texts of labels as numbers while rows are collected. */
class LabelCodes {
  readonly #order: ReadOrder;
  readonly #codes = new Map<string, number>();

  constructor(order: ReadOrder) {
    this.#order = order;
  }

  codeOf(label: string): number {
    const { task, recording, labelled } = this.#order;
    if (!labelled || task === 'anomaly' || label === '' || label.toLowerCase() === 'nan') return Number.NaN;
    if (task === 'regression') return recording.labelNumber(label);
    const code = this.#codes.get(label) ?? this.#codes.size;
    if (code < CLASSES_MAX) {
      this.#codes.set(label, code);
      return code;
    }
    throw trainingFailure(
      'training-labels-invalid',
      `The label column of ${recording.name} has more than ${CLASSES_MAX} different texts: that is no classification`,
    );
  }

  /** The normal class first, the others in order of their names. */
  classes(): readonly string[] {
    const names = [...this.#codes.keys()].toSorted();
    if (names.length < 2)
      throw trainingFailure(
        'training-labels-invalid',
        `The label column of ${this.#order.recording.name} has ${names.length} classes (${names.join(', ')}); two or more are needed`,
      );
    const normal = names.find((name) => isNormalLabel(name) === true) ?? names[0];
    return [...names.filter((name) => name === normal), ...names.filter((name) => name !== normal)];
  }

  /** Returns the targets of a run; the last column has the codes. */
  targets(run: TrainingRows, column: number): Float64Array {
    const codes = columnsOf(run, column, column + 1).values;
    if (this.#order.task !== 'classification') return codes;
    const places = this.classes();
    const byCode = [...this.#codes.keys()].map((name) => places.indexOf(name));
    return codes.map((code) => byCode[code] ?? Number.NaN);
  }
}

function columnsOf({ count, tags, values }: TrainingRows, from: number, to: number): TrainingRows {
  const width = to - from;
  const picked = new Float64Array(count * width);
  for (let row = 0; row < count; row += 1) picked.set(values.subarray(row * tags + from, row * tags + to), row * width);
  return { count, tags: width, values: picked };
}

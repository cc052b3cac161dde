import type { Contribution } from '../domain/alarm/verdict.ts';
import type { JudgedRow } from './backtest.ts';

const DAY_MS = 86_400_000;
const OFFLINE = 'offline: the recording has no data';
/** Most causes that are counted. */
const CAUSES_MAX = 100;

/** Quality of the predictions, point by point, without tolerance; a figure is undefined if it has no meaning. */
export type BacktestMetrics = {
  readonly rows: number;
  readonly unknownRows: number;
  /** Causes of the rows without a verdict, with numbers left out, most frequent first. */
  readonly unknownCauses: readonly { readonly cause: string; readonly rows: number }[];
  /** Rows with estimated tags in which nothing abnormal was found. */
  readonly uncertainRows: number;
  readonly abnormalRows: number;
  /** Rows in a state that suppresses the alarm; they count like others, and raise no alarm. */
  readonly suppressedRows: number;
  /** Points of the grid in gaps of the recording, among the rows without a verdict. */
  readonly offlineRows: number;
  readonly alarms: number;
  readonly alarmsPerDay: number | undefined;
  /** Tags by their mean share in abnormal verdicts, largest first. */
  readonly blame: readonly Contribution[];
  /** Undefined without labels. */
  readonly labelled: LabelledMetrics | undefined;
};

export type LabelledMetrics = {
  readonly truePositives: number;
  readonly trueNegatives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
  readonly f1: number;
  /** Share of normal rows that were called abnormal, 0–1; NaN without normal rows. */
  readonly falseAlarmRate: number;
  /** Share of abnormal rows that were called normal, 0–1; NaN without abnormal rows. */
  readonly missedAlarmRate: number;
  /** False alarms per day of normal running; undefined without normal running. */
  readonly falseAlarmsPerDay: number | undefined;
  /** Spans of labelled rows, and how many of them were noticed within. */
  readonly events: number;
  readonly eventsFound: number;
  /** Time from the start of an event to its first abnormal row, for detected events. */
  readonly detectionDelayMs: { readonly mean: number; readonly max: number } | undefined;
};

/** Adds up a backtest row by row, in constant memory. */
export class BacktestTally {
  #rows = 0;
  #unknown = 0;
  #uncertain = 0;
  #suppressed = 0;
  #offline = 0;
  readonly #causes = new Map<string, number>();
  #abnormal = 0;
  #alarms = 0;
  #falseAlarms = 0;
  #normalMs = 0;
  #allMs = 0;
  #lastMs: number | undefined;
  #judgedAbnormal = 0;
  readonly #shares = new Map<string, number>();
  readonly #counts = { truePositives: 0, trueNegatives: 0, falsePositives: 0, falseNegatives: 0 };
  #events = 0;
  readonly #delays = { count: 0, sumMs: 0, maxMs: 0 };
  /** The current event: its start, and whether it was detected. */
  #event: { readonly fromMs: number; found: boolean } | undefined;

  /** @param fault True if the label marks the row as abnormal; undefined without a label. */
  add(row: JudgedRow, fault: boolean | undefined): void {
    const stepMs = Math.max(0, row.timeMs - (this.#lastMs ?? row.timeMs));
    this.#lastMs = row.timeMs;
    this.#rows += 1 + row.offlineRows;
    this.#allMs += stepMs;
    this.#offline += row.offlineRows;
    if (row.suppressed) this.#suppressed += 1;
    if (row.offlineRows > 0) this.#addUnknown(OFFLINE, row.offlineRows);
    if ((row.verdict?.verdict ?? 'unknown') === 'unknown' && !row.isBetweenHops)
      this.#addUnknown(causeOf(row.verdict?.reason), 1);
    if (row.verdict?.verdict === 'uncertain') this.#uncertain += 1;
    if (row.prediction === 1) this.#abnormal += 1;
    if (row.raised) this.#alarms += 1;
    this.#addBlame(row);
    if (fault === undefined) return;
    if (!fault) this.#normalMs += stepMs;
    if (row.raised && !fault) this.#falseAlarms += 1;
    this.#addPoint(row.prediction === 1, fault);
    this.#addToEvent(row, fault);
  }

  metrics(): BacktestMetrics {
    const perDay = (count: number, spanMs: number) => (spanMs > 0 ? (count * DAY_MS) / spanMs : undefined);
    const blame = [...this.#shares].map(([tag, sum]) => ({ tag, share: sum / this.#judgedAbnormal }));
    return {
      rows: this.#rows,
      unknownRows: this.#unknown,
      unknownCauses: [...this.#causes].map(([cause, rows]) => ({ cause, rows })).toSorted((a, b) => b.rows - a.rows),
      uncertainRows: this.#uncertain,
      abnormalRows: this.#abnormal,
      suppressedRows: this.#suppressed,
      offlineRows: this.#offline,
      alarms: this.#alarms,
      alarmsPerDay: perDay(this.#alarms, this.#allMs),
      blame: blame.toSorted((a, b) => b.share - a.share),
      labelled: this.#labelled(perDay(this.#falseAlarms, this.#normalMs)),
    };
  }

  #labelled(falseAlarmsPerDay: number | undefined): LabelledMetrics | undefined {
    const { truePositives, trueNegatives, falsePositives, falseNegatives } = this.#counts;
    if (truePositives + trueNegatives + falsePositives + falseNegatives === 0) return undefined;
    const { count, sumMs, maxMs } = this.#delays;
    return {
      ...this.#counts,
      ...pointRates(this.#counts),
      falseAlarmsPerDay,
      events: this.#events,
      eventsFound: count,
      detectionDelayMs: count === 0 ? undefined : { mean: sumMs / count, max: maxMs },
    };
  }

  #addUnknown(cause: string, rows: number): void {
    this.#unknown += rows;
    if (this.#causes.has(cause) || this.#causes.size < CAUSES_MAX)
      this.#causes.set(cause, (this.#causes.get(cause) ?? 0) + rows);
  }

  #addBlame({ verdict }: JudgedRow): void {
    if (verdict?.verdict !== 'abnormal') return;
    this.#judgedAbnormal += 1;
    for (const { tag, share } of verdict.contributions) this.#shares.set(tag, (this.#shares.get(tag) ?? 0) + share);
  }

  #addPoint(abnormal: boolean, fault: boolean): void {
    const counts = this.#counts;
    if (fault) counts[abnormal ? 'truePositives' : 'falseNegatives'] += 1;
    else counts[abnormal ? 'falsePositives' : 'trueNegatives'] += 1;
  }

  #addToEvent({ prediction, timeMs }: JudgedRow, fault: boolean): void {
    if (!fault) {
      this.#event = undefined;
      return;
    }
    if (this.#event === undefined) {
      this.#event = { fromMs: timeMs, found: false };
      this.#events += 1;
    }
    if (prediction === 0 || this.#event.found) return;
    this.#event.found = true;
    const delayMs = Math.max(0, timeMs - this.#event.fromMs);
    this.#delays.count += 1;
    this.#delays.sumMs += delayMs;
    this.#delays.maxMs = Math.max(this.#delays.maxMs, delayMs);
  }
}

/** Returns the cause of a row without a verdict: its reason without the ages and counts that change from row to row. */
function causeOf(reason: string | undefined): string {
  if (reason === undefined) return 'the first window fills';
  return reason
    .replaceAll(/no good value for [\d.]+ (?:s|min)/g, 'no good value')
    .replaceAll(/\d+ of (\d+) values of the window are missing/g, 'values of the window are missing');
}

/** Returns F1 and both error rates of counted points. */
export function pointRates(
  counts: Pick<LabelledMetrics, 'truePositives' | 'trueNegatives' | 'falsePositives' | 'falseNegatives'>,
): Pick<LabelledMetrics, 'f1' | 'falseAlarmRate' | 'missedAlarmRate'> {
  const { truePositives: tp, trueNegatives: tn, falsePositives: fp, falseNegatives: fn } = counts;
  return {
    f1: tp === 0 ? 0 : tp / (tp + (fp + fn) / 2),
    falseAlarmRate: fp / (fp + tn),
    missedAlarmRate: fn / (fn + tp),
  };
}

import { type PlotPanel, svgBars, svgPlot } from '../training/report/svg-plot.ts';
import type { JudgedRow } from './backtest.ts';
import type { Evaluation } from './evaluate.ts';
import { isNormalLabel } from './recording.ts';

/** Rows that are plotted; of more, every second one is left out, again and again. */
const POINTS_MAX = 20_000;
const TAGS_PLOTTED_MAX = 30;
/** Causes of rows without a verdict in the summary. */
const CAUSES_SHOWN = 3;

/** Collects the data of the report during a backtest, in bounded memory. */
export class EvaluationPlot {
  readonly #tags: readonly string[];
  #points: { readonly score: number; readonly fault: boolean; readonly row: Float32Array }[] = [];
  #stride = 1;
  #seen = 0;
  #threshold: number | undefined;

  constructor(tags: readonly string[]) {
    this.#tags = tags;
  }

  add({ verdict, label, lastRow }: JudgedRow): void {
    this.#threshold ??= verdict?.threshold;
    const index = this.#seen;
    this.#seen += 1;
    if (index % this.#stride !== 0) return;
    if (this.#points.length >= POINTS_MAX) {
      this.#points = this.#points.filter((_, at) => at % 2 === 0);
      this.#stride *= 2;
    }
    const row = lastRow ?? new Float32Array(this.#tags.length).fill(Number.NaN);
    this.#points.push({ score: verdict?.score ?? Number.NaN, fault: isNormalLabel(label) === false, row });
  }

  /** Score against its limit, then the tags; labelled faults are shaded. */
  svg(): string {
    const shaded = this.#faults();
    const score: PlotPanel = {
      title: 'score and limit',
      lines: [{ name: 'score', values: this.#points.map((point) => point.score), colour: '#2a6fb0' }],
      ...(this.#threshold === undefined ? {} : { level: this.#threshold }),
      shaded,
    };
    const tags = this.#tags.slice(0, TAGS_PLOTTED_MAX).map((tag, column): PlotPanel => ({
      title: tag,
      lines: [{ name: tag, values: this.#points.map(({ row }) => row[column] ?? Number.NaN), colour: '#444' }],
      shaded,
    }));
    return svgPlot([score, ...tags], `${this.#seen} rows; labelled faults are shaded`);
  }

  #faults(): readonly (readonly [number, number])[] {
    const spans: [number, number][] = [];
    for (const [index, { fault }] of this.#points.entries()) {
      if (!fault) continue;
      const last = spans.at(-1);
      if (last?.[1] === index) last[1] = index + 1;
      else spans.push([index, index + 1]);
    }
    return spans;
  }
}

/** The report of an evaluation: Markdown and its plots, by file name. */
export function evaluationReport(
  evaluations: readonly Evaluation[],
  plot: EvaluationPlot,
  recording: string,
): ReadonlyMap<string, string> {
  const [first] = evaluations;
  const blame = first?.metrics.blame ?? [];
  const rows = evaluationRows(evaluations);
  const table = [
    `| ${rows.head.join(' | ')} |`,
    `| ${rows.head.map(() => '---').join(' | ')} |`,
    ...rows.body.map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n');
  const files = new Map([
    [
      'report.md',
      `# ${evaluations.map(({ model }) => model).join(' against ')} on ${recording}

${table}

Rows are counted one by one, without tolerance. Quote F1 only with both rates: 'always abnormal' has a good F1, too.

![Score, limit and tags](score.svg)
${blame.length === 0 ? '' : '\nMean share of each tag in the abnormal verdicts:\n\n![Blame](contributions.svg)\n'}`,
    ],
    ['score.svg', plot.svg()],
  ]);
  if (blame.length > 0) files.set('contributions.svg', svgBars(blame.map(({ tag, share }) => ({ name: tag, share }))));
  return files;
}

/** Figures of one or two evaluations side by side, without lines that none of them has. */
export function evaluationRows(evaluations: readonly Evaluation[]): {
  readonly head: readonly string[];
  readonly body: readonly (readonly string[])[];
} {
  const columns = evaluations.map(figures);
  const names = Object.keys(columns[0] ?? {});
  const body = names.map((name) => [name, ...columns.map((figuresOf) => figuresOf[name] ?? '')]);
  return {
    head: ['', ...evaluations.map(({ model }) => model)],
    body: body.filter((cells) => cells.slice(1).some((cell) => cell !== '')),
  };
}

function figures({ metrics, errors }: Evaluation): Readonly<Record<string, string | undefined>> {
  const { labelled } = metrics;
  const blamed = metrics.blame.slice(0, 3).map(({ tag, share }) => `${tag} ${percent(share)}`);
  return {
    rows: String(metrics.rows),
    'rows without a verdict': String(metrics.unknownRows),
    causes: metrics.unknownCauses
      .slice(0, CAUSES_SHOWN)
      .map(({ cause, rows }) => `${rows}: ${cause}`)
      .join('; '),
    'uncertain rows': metrics.uncertainRows === 0 ? undefined : String(metrics.uncertainRows),
    'suppressed rows': metrics.suppressedRows === 0 ? undefined : String(metrics.suppressedRows),
    'offline rows': metrics.offlineRows === 0 ? undefined : String(metrics.offlineRows),
    'abnormal rows': String(metrics.abnormalRows),
    alarms: String(metrics.alarms),
    'alarms a day': optional(metrics.alarmsPerDay),
    F1: labelled?.f1.toFixed(3),
    'false-alarm rate': labelled && percent(labelled.falseAlarmRate),
    'missed-alarm rate': labelled && percent(labelled.missedAlarmRate),
    'false alarms a day': optional(labelled?.falseAlarmsPerDay),
    'events found': labelled && `${labelled.eventsFound} of ${labelled.events}`,
    'detection delay, mean (s)': seconds(labelled?.detectionDelayMs?.mean),
    'detection delay, longest (s)': seconds(labelled?.detectionDelayMs?.max),
    RMSE: optional(errors?.rmse),
    MAE: optional(errors?.mae),
    'tags to blame': blamed.join(', '),
  };
}

function optional(value: number | undefined): string {
  return value === undefined ? '' : String(Number(value.toPrecision(3)));
}

function percent(share: number): string {
  return Number.isNaN(share) ? '–' : `${(share * 100).toFixed(1)} %`;
}

function seconds(durationMs: number | undefined): string {
  return durationMs === undefined ? '' : (durationMs / 1000).toFixed(1);
}

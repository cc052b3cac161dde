import type { Confusion } from './assessment.ts';
import type { DataFinding } from './data-check.ts';
import { faultNames, type TagDetections } from './fault-table.ts';
import type { DetectedShift } from './injected-faults.ts';
import { type DraftFacts, type TagLabel, windowAt } from './model-draft.ts';
import { svgBars, svgPlot } from './svg-plot.ts';
import type { TrainedModel } from './train-model.ts';
import { Modes } from '../../domain/learning/modes.ts';
import { columnOf, indexOfLargest, rounded } from '../core/statistics.ts';
import { countRows } from '../core/training-rows.ts';

/** Maximum number of plotted tags. */
const TAGS_PLOTTED_MAX = 30;

export type ReportFacts = Pick<DraftFacts, 'task' | 'tags' | 'segments'> & {
  readonly algorithm: string;
  /** Rows read, kept or not. */
  readonly rowsRead: number;
  readonly findings: readonly DataFinding[];
  readonly provenance: Readonly<Record<string, unknown>>;
  /** Losses of the algorithms that were compared; undefined if one was named. */
  readonly compared?: Readonly<Record<string, number>> | undefined;
};

/** Returns a short report for the engineer who decides about the model: Markdown and its plots, by file name. */
export function trainingReport(trained: TrainedModel, facts: ReportFacts): ReadonlyMap<string, string> {
  const { longest, fitted, draft } = trained;
  const { rows, scores, timesMs } = longest;
  const padded = new Float64Array(rows.count).fill(Number.NaN);
  padded.set(scores, fitted.windowRows - 1);
  const caption = `${rows.count} rows of the longest run without a gap${timesMs === undefined ? '' : ', times in UTC'}`;
  const score = { name: 'score', values: padded, colour: '#2a6fb0' };
  const scoreTitle = 'score on the training rows, and the limit';
  const tagPanels = facts.tags.slice(0, TAGS_PLOTTED_MAX).map(({ name, unit }, index) => ({
    title: unit === '' ? name : `${name}, ${unit}`,
    lines: [{ name, values: columnOf(rows.values, rows.tags, index), colour: '#444' }],
  }));
  const shares = highestShares(trained, facts.tags);
  return new Map([
    ['report.md', reportText(trained, facts)],
    ['score.svg', svgPlot([{ title: scoreTitle, lines: [score], level: draft.manifest.threshold }], caption, timesMs)],
    ['tags.svg', svgPlot(tagPanels, caption, timesMs)],
    ...(shares === undefined ? [] : [['contributions.svg', svgBars(shares)] as const]),
  ]);
}

/** Returns the values of each tag with few whole-number values, such as a status, with their share of the rows. */
function statesSeen({ segments, tags }: Pick<ReportFacts, 'segments' | 'tags'>): readonly string[] {
  const modes = new Modes();
  for (const { values, tags: width } of segments)
    for (const [index, value] of values.entries()) modes.add(tags[index % width]?.name ?? '', value, 1);
  const rows = countRows(segments);
  const byTag = Map.groupBy(modes.seen(), ({ tag }) => tag);
  const share = (seen: number) => `${rounded((100 * seen) / rows, 3)} %`;
  return [...byTag].map(
    ([tag, seen]) => `**${tag}** ${seen.map(({ value, seenMs }) => `${value} (${share(seenMs)})`).join(', ')}`,
  );
}

function reportText(trained: TrainedModel, facts: ReportFacts): string {
  const { draft, fitted, assessment } = trained;
  const { threshold, abnormal, deadband, relativeEnd, tags, window } = draft.manifest;
  const list = (items: readonly string[], none: string) =>
    items.length === 0 ? none : items.map((item) => `- ${item}`).join('\n');
  const table = (rows: readonly (readonly [string, string])[]) =>
    ['| | |', '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
  return `# ${facts.algorithm}, ${facts.task}

${draft.manifest.description ?? ''}

${table([
  ['rows read', String(facts.rowsRead)],
  ['rows fitted on', String(countRows(facts.segments))],
  ['runs without a gap', String(facts.segments.length)],
  ...Object.entries(facts.provenance)
    .filter(([name]) => ['data', 'from', 'to', 'fingerprint'].includes(name))
    .map(([name, value]): readonly [string, string] => [name, String(value)]),
  ['window', `${window.steps} rows`],
  ['abnormal', `${abnormal ?? 'above'} ${threshold}; normal again after ${deadband ?? 0} back`],
  ...(relativeEnd === undefined
    ? []
    : [['drifts', `normal again also at ${relativeEnd.end * 100} % of the peak of the score`] as const]),
])}

## What the data shows

${list(
  facts.findings.map(({ tag, message }) => (tag === undefined ? message : `**${tag}** ${message}`)),
  'No findings.',
)}

Values of tags with few values, with their share of the rows. A state of the machine that is not here will be abnormal:

${list(statesSeen(facts), 'No tag has few values.')}

${regimesText(draft.manifest.training)}## How good it is

${
  assessment === undefined
    ? 'Not known: there are too few rows for an assessment.'
    : `A trial fit on the first three quarters of the rows, assessed on the last, which it never saw:

${table(Object.entries(assessment.metrics).map(([name, value]) => [name, String(rounded(value, 4))]))}`
}

${comparisonText(facts)}${confusionText(assessment?.confusion)}${list(trained.warnings, 'No warnings.')}

## What it detects

${shiftText(assessment?.shifts, facts.tags)}

${faultText(assessment?.faults, facts.tags)}

![Score and limit](score.svg)

## Tags

| tag | unit | lowest | highest |
| --- | --- | --- | --- |
${tags.map(({ name, unit, range }) => `| ${name} | ${unit ?? ''} | ${range?.[0] ?? ''} | ${range?.[1] ?? ''} |`).join('\n')}

![Tags](tags.svg)
${fitted.explain === undefined ? '' : '\nShares in the highest score of the training rows:\n\n![Contributions](contributions.svg)\n'}
## What was chosen

${table(Object.entries(fitted.details).map(([name, value]) => [name, String(value)]))}
`;
}

function regimesText(training: Readonly<Record<string, unknown>> | undefined): string {
  const text = training?.['regimes'];
  return typeof text === 'string' ? `## Regimes\n\n${text}\n\n` : '';
}

function comparisonText({ compared, task, algorithm }: ReportFacts): string {
  if (compared === undefined) return '';
  const loss = task === 'regression' ? 'RMSE' : 'log loss';
  const rows = Object.entries(compared).map(([name, value]) => `| ${name} | ${rounded(value, 4)} |`);
  return `${algorithm} was chosen. Each algorithm on the same held-out rows:\n\n| | ${loss} |\n| --- | --- |\n${rows.join('\n')}\n\n`;
}

function confusionText(confusion: Confusion | undefined): string {
  if (confusion === undefined) return '';
  const classes = Object.keys(confusion);
  const rows = classes.map(
    (truth) => `| ${truth} | ${classes.map((found) => confusion[truth]?.[found] ?? 0).join(' | ')} |`,
  );
  return [
    'Held-out rows of each class (lines), by the class that the trial fit gives them (columns):',
    '',
    `| | ${classes.join(' | ')} |`,
    `| --- | ${classes.map(() => '---').join(' | ')} |`,
    ...rows,
    '\n',
  ].join('\n');
}

function shiftText(shifts: readonly DetectedShift[] | undefined, tags: readonly TagLabel[]): string {
  if (shifts === undefined)
    return 'Not known: no fault was injected, because there are too few held-out rows without an alarm.';
  const rows = shifts.map(({ column, deviations, shift }) => {
    const { name = '', unit = '' } = tags[column] ?? {};
    const found = shift === undefined ? 'none of those tried' : `${rounded(shift, 4)} ${unit}`.trim();
    return `| ${name} | ${found} | ${deviations ?? ''} |`;
  });
  return [
    'Smallest shift of one tag that the trial fit detects, upwards and downwards, on rows that it never saw:',
    '',
    '| tag | shift | in standard deviations |',
    '| --- | --- | --- |',
    ...rows,
  ].join('\n');
}

/** Returns the share of the rows of each fault that are abnormal, and what the model would not notice. */
function faultText(detections: readonly TagDetections[] | undefined, tags: readonly TagLabel[]): string {
  if (detections === undefined) return '';
  const name = (column: number) => tags[column]?.name ?? '';
  const rows = detections.map(({ column, faults }) => {
    const cells = faults.map(({ share, delayRows }) =>
      delayRows === undefined ? 'not noticed' : `${Math.round(100 * share)} % after ${delayRows}`,
    );
    return `| ${name(column)} | ${cells.join(' | ')} |`;
  });
  const missed = faultNames.flatMap((fault) => {
    const unnoticed = detections.filter(({ faults }) =>
      faults.some((detection) => detection.fault === fault && detection.delayRows === undefined),
    );
    return unnoticed.length === 0 ? [] : [`- ${fault}: ${unnoticed.map(({ column }) => name(column)).join(', ')}`];
  });
  return [
    'Known faults in held-out rows: share of their rows that are abnormal, and rows until the first one:',
    '',
    `| tag | ${faultNames.join(' | ')} |`,
    `| --- | ${faultNames.map(() => '---').join(' | ')} |`,
    ...rows,
    '',
    ...(missed.length === 0 ? ['No fault of these was missed.'] : ['This model would not notice:', '', ...missed]),
  ].join('\n');
}

/** Returns the shares of the tags in the window with the highest score. */
function highestShares({ fitted, longest: { rows, scores } }: TrainedModel, tags: readonly TagLabel[]) {
  if (fitted.explain === undefined) return undefined;
  const shares = fitted.explain(windowAt(rows, indexOfLargest(scores) + fitted.windowRows - 1, fitted.windowRows));
  return tags
    .map(({ name }, index) => ({ name, share: shares[index] ?? 0 }))
    .toSorted((a, b) => b.share - a.share)
    .slice(0, TAGS_PLOTTED_MAX);
}

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { WatchBinding } from '../config/watch-binding.ts';
import { judgesWindows } from '../contracts/manifest-kind.ts';
import type { JudgedPeriod, MarkedComparison } from '../contracts/models/marked-comparison.ts';
import type { MarkedPeriod } from '../contracts/operation/annotations.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import { isoTime } from '../domain/epoch-ms.ts';
import { ModelDirectory } from '../models/store/model-directory.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { windowPlan } from '../pipeline/watch.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import type { ModelDraft } from '../training/report/model-draft.ts';
import { rounded } from '../training/core/statistics.ts';
import { writeModel } from '../training/report/model-writer.ts';
import { backtest } from './backtest.ts';
import { historyRecording, SCAN_ROW_MS, timesOf } from './history-recording.ts';

const NOT_JUDGED: JudgedPeriod = { rows: 0, abnormal: 0 };

export type ComparisonOrder = {
  readonly binding: WatchBinding;
  readonly models: ModelsConfig;
  readonly outboxPath: string;
  readonly marked: readonly MarkedPeriod[];
  readonly draft: ModelDraft;
  readonly deps: Deps;
};

/**
 * Judges the marked periods with the active version and with a new one, by the pipeline of the live agent.
 *
 * @returns Undefined if no period is marked or the history has no rows of any.
 * @throws {OperatingError} As `backtest`, for the new version.
 */
export async function compareOnMarked(order: ComparisonOrder): Promise<MarkedComparison | undefined> {
  const { binding, models, marked, draft } = order;
  if (marked.length === 0) return undefined;
  const { name } = binding.watch.model;
  const next = await withDraft(order, (directory) =>
    judgedPeriods(order, { ...models, directory, trust: undefined }, 1, draft.manifest.window.steps),
  );
  const active = await ModelDirectory.of(models).activeVersion(name);
  const present = active === undefined ? 'no version is active' : await presentPeriods(order, active);
  const periods = marked
    .map((period, index) => ({
      ...period,
      present: typeof present === 'string' ? undefined : present[index],
      next: next[index] ?? NOT_JUDGED,
    }))
    .filter((period) => period.next.rows > 0);
  if (periods.length === 0) return undefined;
  const label = active === undefined ? undefined : formatModelReference({ name, version: active });
  return typeof present === 'string'
    ? {
        present: undefined,
        periods,
        recommendation: 'none',
        reason: `${present}. ${textOf('The new one', periods, 'next')}`,
      }
    : { present: label, periods, ...recommendationOf(periods, label ?? '') };
}

/** @returns Why the active version cannot judge the periods, as a text. */
async function presentPeriods(order: ComparisonOrder, version: number): Promise<readonly JudgedPeriod[] | string> {
  const { models, binding } = order;
  try {
    const { manifest } = await ModelDirectory.of(models).find({ ...binding.watch.model, version });
    if (!judgesWindows(manifest)) return 'the active version judges no windows';
    return await judgedPeriods(order, models, version, manifest.window.steps);
  } catch (error) {
    if (error instanceof OperatingError) return `the active version cannot judge them: ${errorMessage(error)}`;
    throw error;
  }
}

/** Gives a model directory with the draft as version 1, for the time of a call. */
async function withDraft<T>({ models, binding, draft }: ComparisonOrder, use: (directory: string) => Promise<T>) {
  const { name } = binding.watch.model;
  const parent = join(models.directory, name);
  await mkdir(parent, { recursive: true });
  const directory = await mkdtemp(join(parent, '.comparing-'));
  try {
    await writeModel(directory, name, draft);
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Adds a comparison to `training` of model.yaml and to report.md. */
export function withComparison(draft: ModelDraft, comparison: MarkedComparison | undefined): ModelDraft {
  if (comparison === undefined) return draft;
  const { manifest, report = new Map<string, string>() } = draft;
  const { present, recommendation, reason } = comparison;
  const periods = comparison.periods.map(({ label, fromMs, toMs, ...judged }) => ({
    label,
    from: isoTime(fromMs),
    to: isoTime(toMs),
    ...(judged.present === undefined ? {} : { present: shareOf(judged.present) }),
    next: shareOf(judged.next),
  }));
  const rows = periods.map(
    ({ label, from, to, next, ...old }) =>
      `| ${label} | ${from} | ${to} | ${old.present === undefined ? '–' : percent(old.present)} | ${percent(next)} |`,
  );
  const section = `
## Periods that people marked

${reason}

Rows of each period that are abnormal. The new version has learned the normal periods, so this is no proof for other times. Faults are not in its training rows.

| label | from | to | ${present ?? 'present version'} | new version |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
  const marked = { ...(present === undefined ? {} : { present }), recommendation, reason, periods };
  return {
    ...draft,
    manifest: { ...manifest, training: { ...manifest.training, marked } },
    report: new Map([...report, ['report.md', `${report.get('report.md') ?? ''}${section}`]]),
  };
}

/** Share of the judged rows that are abnormal, 0–1. */
function shareOf({ rows, abnormal }: JudgedPeriod): number {
  return rows === 0 ? 0 : rounded(abnormal / rows, 3);
}

function percent(share: number): string {
  return `${rounded(100 * share, 3)} %`;
}

async function judgedPeriods(
  { binding, outboxPath, marked, deps }: ComparisonOrder,
  models: ModelsConfig,
  version: number,
  steps: number,
): Promise<readonly JudgedPeriod[]> {
  const { watch } = binding;
  const { stepMs, maxAgeMs } = windowPlan(watch, steps);
  const leadMs = steps * (stepMs === 'scan' ? SCAN_ROW_MS : stepMs) + maxAgeMs;
  const recording = historyRecording({
    outboxPath,
    tags: watch.tags,
    times: timesOf(marked, leadMs),
    stepMs: stepMs === 'scan' ? undefined : stepMs,
  });
  const periods = marked.map(() => ({ rows: 0, abnormal: 0 }));
  const model = { name: watch.model.name, version };
  const range = { first: 0, last: Infinity };
  for await (const { timeMs, verdict } of backtest({
    binding,
    recording,
    range,
    pacing: 'times',
    models,
    model,
    deps,
  })) {
    if (verdict === undefined || verdict.verdict === 'unknown') continue;
    for (const [index, { fromMs, toMs }] of marked.entries()) {
      const period = periods[index];
      if (period === undefined || timeMs < fromMs || timeMs > toMs) continue;
      period.rows += 1;
      if (verdict.verdict === 'abnormal') period.abnormal += 1;
    }
  }
  return periods;
}

type Periods = MarkedComparison['periods'];

/** Returns the version with the smaller sum of errors: a fault without an abnormal row is 1, normal running its abnormal share. */
function recommendationOf(periods: Periods, present: string): Pick<MarkedComparison, 'recommendation' | 'reason'> {
  const both = periods.filter((period) => period.present !== undefined && period.present.rows > 0);
  const errors = (version: 'present' | 'next') =>
    both.reduce((total, period) => {
      const judged = period[version] ?? NOT_JUDGED;
      return total + (period.label === 'normal' ? shareOf(judged) : judged.abnormal === 0 ? 1 : 0);
    }, 0);
  const better = errors('present') - errors('next');
  const figures = `${textOf(`The present version ${present}`, both, 'present')} ${textOf('The new one', both, 'next')}`;
  if (better > 0)
    return { recommendation: 'activate', reason: `Activate it: on the marked periods it is better. ${figures}` };
  if (better < 0)
    return {
      recommendation: 'keep',
      reason: `Keep the present version: on the marked periods it is better. ${figures}`,
    };
  return { recommendation: 'none', reason: `On the marked periods both versions are equally good. ${figures}` };
}

function textOf(who: string, periods: Periods, version: 'present' | 'next'): string {
  const of = (label: MarkedPeriod['label']) =>
    periods.filter((period) => period.label === label).map((period) => period[version] ?? NOT_JUDGED);
  const faults = of('fault');
  const normal = of('normal');
  const found = faults.filter(({ abnormal }) => abnormal > 0).length;
  const all = { rows: sum(normal, 'rows'), abnormal: sum(normal, 'abnormal') };
  const parts = [
    ...(faults.length === 0 ? [] : [`finds ${found} of ${faults.length} marked faults`]),
    ...(normal.length === 0 ? [] : [`calls ${percent(shareOf(all))} of the rows marked as normal abnormal`]),
  ];
  return `${who} ${parts.join(' and ')}.`;
}

function sum(periods: readonly JudgedPeriod[], of: keyof JudgedPeriod): number {
  return periods.reduce((total, period) => total + period[of], 0);
}

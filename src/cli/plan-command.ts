import type { Command } from 'commander';
import { restartSections } from '../app/config-changes.ts';
import { loadConfig } from '../config/config-file.ts';
import { lookUpModels } from '../config/config-model-checks.ts';
import { type AgentPlan, canBeMet, planAgent, scanLoad } from '../offline/plan.ts';
import type { PlannedRead, ScanPlan } from '../contracts/source.ts';
import { formatDuration } from '../domain/duration.ts';
import { ConfigError, formatConfigProblem } from '../platform/errors.ts';
import { plural } from './setup/check-command.ts';
import { DEFAULT_CONFIG, EXIT_CONFIG, runs, withConfig } from './output/command.ts';
import type { Output } from './output/output.ts';
import { table } from './output/table.ts';

/** Requests that are listed for people; a plant can have thousands, and `--json` has them all. */
const REQUESTS_SHOWN_MAX = 40;

export type PlanOptions = {
  readonly json: boolean;
  /** Used without an argument. */
  readonly config?: string;
};

/** Defines `andon plan`. */
export function definePlan(command: Command): void {
  withConfig(command).argument('[file]', 'configuration file').action(runs(planCommand));
}

/**
 * `andon plan FILE`: requests and bus time of each scan against its interval, windows, models and providers.
 * @returns Exit code: 0, 1 if a scan interval cannot be met, 78 if the configuration is invalid.
 */
export async function planCommand(argument: string | undefined, options: PlanOptions, output: Output): Promise<number> {
  const file = argument ?? options.config ?? DEFAULT_CONFIG;
  try {
    const { config, warnings } = await loadConfig(file);
    const plan = planAgent(config, await lookUpModels(config, { readGraphs: true }));
    const met = canBeMet(plan);
    const restart = restartSections(config);
    if (options.json) output.out(JSON.stringify({ ok: met, file, ...planJson(plan), restart, warnings }, undefined, 2));
    else {
      for (const warning of warnings) output.err(formatConfigProblem(warning, 'warning: '));
      output.out(sections(plan, restart).join('\n\n'));
    }
    return met ? 0 : 1;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (options.json) output.out(JSON.stringify({ ok: false, file, problems: error.problems }, undefined, 2));
    else for (const problem of error.problems) output.err(formatConfigProblem(problem));
    return EXIT_CONFIG;
  }
}

/** The JSON has an empty text for a model without a problem. */
function planJson(plan: AgentPlan): object {
  return { ...plan, models: plan.models.map((model) => ({ ...model, problem: model.problem ?? '' })) };
}

function sections(plan: AgentPlan, restart: readonly string[]): readonly string[] {
  const notPolled = plan.tagsNotPolled;
  return [
    ...(plan.scans.length === 0 ? [] : [`SCANS\n${scanTable(plan.scans)}`, `REQUESTS\n${requestTable(plan.scans)}`]),
    ...(notPolled === 0 ? [] : [`${plural(notPolled, 'tag')} not polled: the source sends by itself.`]),
    ...(plan.windows.length === 0 ? [] : [`WINDOWS\n${windowTable(plan)}`]),
    ...(plan.models.length === 0 ? [] : [`MODELS\n${modelTable(plan)}`]),
    ...(plan.history.length === 0 ? [] : [`HISTORY\n${historyTable(plan)}`]),
    ...noteSection(plan),
    `RELOAD\nA change of ${restart.join(', ')} restarts all parts. Everything else changes alone.`,
    conclusion(plan),
  ];
}

function scanTable(scans: readonly ScanPlan[]): string {
  const head = ['source', 'unit', 'tags', 'requests', 'bus time', 'scan interval', 'load'];
  const rows = scans.map((scan) => [
    scan.source,
    String(scan.unitId),
    String(scan.tags),
    String(scan.requests.length),
    formatDuration(scan.busTimeMs),
    scan.scanIntervalMs === 0 ? 'no pause' : formatDuration(scan.scanIntervalMs),
    percent(scanLoad(scan)),
  ]);
  return table(head, rows);
}

/** Modbus application protocol 1.1b3, section 6. */
const READ_OF_FUNCTION: Readonly<Record<number, string>> = { 1: 'coil', 2: 'discrete', 3: 'holding', 4: 'input' };

function requestTable(scans: readonly ScanPlan[]): string {
  const all = scans.flatMap((scan) => scan.requests.map((request) => ({ scan, request })));
  const rows = all
    .slice(0, REQUESTS_SHOWN_MAX)
    .map(({ scan, request }) => [
      scan.source,
      String(scan.unitId),
      `${request.functionCode} (${READ_OF_FUNCTION[request.functionCode] ?? 'other'})`,
      addresses(request),
      String(request.count),
      String(request.tags.length),
    ]);
  const shown = table(['source', 'unit', 'function', 'addresses', 'count', 'tags'], rows);
  const more = all.length - rows.length;
  return more <= 0 ? shown : `${shown}\n… and ${plural(more, 'request')} more; --json shows all`;
}

function addresses({ address, count }: PlannedRead): string {
  return count === 1 ? String(address) : `${address}–${address + count - 1}`;
}

function windowTable({ windows }: AgentPlan): string {
  const head = ['watch', 'model', 'columns', 'rows', 'step', 'hop', 'length', 'alarm', 'rollout'];
  const rows = windows.map((window) => [
    window.watch,
    window.model,
    String(window.columns),
    window.steps === undefined ? '?' : String(window.steps),
    intervalText(window.stepMs),
    intervalText(window.hopMs),
    window.lengthMs === undefined ? '?' : formatDuration(window.lengthMs),
    window.alarmPriority ?? 'none',
    window.rollout === undefined ? '' : `${window.rollout.kind} ${window.rollout.model}`,
  ]);
  return table(head, rows);
}

function intervalText(interval: number | 'scan'): string {
  return interval === 'scan' ? 'scan' : formatDuration(interval);
}

function modelTable({ models }: AgentPlan): string {
  const rows = models.map(({ model, version, task, executionProviders, remote, watches, absent, problem }) => [
    model,
    version === undefined ? '' : String(version),
    task ?? '',
    placeText(executionProviders, remote),
    watches.join(', '),
    absent === undefined ? (problem ?? 'ok') : `learning: ${absent}`,
  ]);
  return table(['model', 'version', 'task', 'providers', 'watches', 'state'], rows);
}

function placeText(executionProviders: readonly string[], remote: AgentPlan['models'][number]['remote']): string {
  if (remote === undefined) return executionProviders.join(' → ');
  return remote.fallback === undefined ? remote.url : `${remote.url} → ${remote.fallback}`;
}

function historyTable({ history }: AgentPlan): string {
  const rows = history.map(({ source, keeps, tags, samplesPerDay, bytesPerDay }) => [
    source,
    keeps,
    String(tags),
    samplesPerDay === undefined ? '?' : Math.round(samplesPerDay).toLocaleString('en'),
    bytesPerDay === undefined ? '5 B a sample' : `${Math.ceil(bytesPerDay / 1e6).toLocaleString('en')} MB`,
  ]);
  return table(['source', 'kept', 'tags', 'samples a day', 'size a day, at most'], rows);
}

function noteSection({ scans }: AgentPlan): readonly string[] {
  const notes = scans.flatMap((scan) => scan.notes.map((note) => `source ${scan.source}: ${note}`));
  return notes.length === 0 ? [] : [`NOTES\n${notes.join('\n')}`];
}

function conclusion(plan: AgentPlan): string {
  const advice = [
    ...plan.scans.flatMap(({ source, unitId, advice: text }) =>
      text === undefined ? [] : [`source ${source}, unit ${unitId}: ${text}`],
    ),
    // The advice of a link with one source repeats that of its scans.
    ...plan.links.flatMap(({ url, sources, advice: text }) =>
      text === undefined || sources.length === 1 ? [] : [`${url}: ${text}`],
    ),
  ];
  if (!canBeMet(plan)) {
    const links = plan.links.flatMap(({ url, advice: text }) => (text === undefined ? [] : [`${url}: ${text}`]));
    return `CANNOT BE MET\n${(advice.length > 0 ? advice : links).join('\n')}`;
  }
  const busiest = Math.max(0, ...plan.links.map(({ load }) => load));
  return plan.links.length === 0
    ? 'Nothing is polled.'
    : `Every scan can be met; the busiest device needs ${percent(busiest)} of its time.`;
}

function percent(share: number | undefined): string {
  return share === undefined ? '–' : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

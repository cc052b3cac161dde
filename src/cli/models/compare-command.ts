import type { Command } from 'commander';
import { loadConfig } from '../../config/config-file.ts';
import { type ComparisonJson, comparisonJson, type RolloutJson } from '../../contracts/rollout-json.ts';
import { MAJOR_DRIFT } from '../../domain/model/drift.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import { agentOf, queryAgent } from '../output/agent-request.ts';
import { runs, subcommand } from '../output/command.ts';
import { type Output, printResult } from '../output/output.ts';
import { table } from '../output/table.ts';
import { referenceOf } from './model-argument.ts';

const BAR_WIDTH = 24;
const DISAGREEMENTS_SHOWN_MAX = 8;

type CompareOptions = { readonly config: string; readonly url?: string; readonly json?: boolean };

/** Adds `andon models compare`. */
export function addCompareCommand(models: Command): void {
  subcommand(models, 'compare', 'compares versions that judge the same windows (shadow, canary, probation)')
    .argument('<model>', 'NAME')
    .option('--url <url>', 'URL of the running agent, if it differs from the configuration')
    .action(runs(compareCommand));
}

/**
 * `andon models compare NAME`: requests the comparison from the running agent.
 *
 * @returns 1 if a candidate was stopped.
 */
async function compareCommand(text: string, options: CompareOptions, output: Output): Promise<number> {
  const { name } = referenceOf(text);
  const { config } = await loadConfig(options.config);
  const path = `/api/v1/models/${encodeURIComponent(name)}/compare`;
  const comparison = await queryAgent(agentOf(config, options.url), path, comparisonJson);
  const users = Object.values(config.watches).filter(({ model }) => model.name === name).length;
  printResult(output, options, { document: comparison, text: comparisonText(comparison, users) });
  return comparison.rollouts.some(({ stopped }) => stopped !== null) ? 1 : 0;
}

function comparisonText({ model, rollouts, obstacles }: ComparisonJson, watchesUsing: number): string {
  const parts = [
    ...rollouts.map((rollout) => rolloutText(model, rollout)),
    ...obstacles.map(({ watch, reason }) => `${watch}: ${reason}.`),
  ];
  if (parts.length > 0) return parts.join('\n\n');
  if (watchesUsing === 0) return `No watch uses the model '${model}'.`;
  return `No version of ${model} is compared now. Name one in a watch ('shadow: ${model}@VERSION' or 'canary: ${model}@VERSION'), or activate it.`;
}

function rolloutText(model: string, rollout: RolloutJson): string {
  const { watch, kind, candidate, incumbent, decides, windows, table: cells } = rollout;
  const [one, other] = [candidate, incumbent].map((version) => formatModelReference({ name: model, version }));
  const until = rollout.ends_ms === null ? '' : ` until ${timeText(rollout.ends_ms)}`;
  const share = (count: number) => [String(count), bar(windows === 0 ? 0 : count / windows)];
  return [
    `${watch}: ${kind} of ${one} against ${other}, since ${timeText(rollout.since_ms)}${until}; version ${decides} decides`,
    table(
      ['', 'windows', ''],
      [
        ['both normal', ...share(cells.both_normal)],
        ['both abnormal', ...share(cells.both_abnormal)],
        [`only ${one} abnormal`, ...share(cells.only_candidate)],
        [`only ${other} abnormal`, ...share(cells.only_incumbent)],
      ],
    ),
    sidesTable(one ?? '', other ?? '', rollout),
    `agreement ${percent(rollout.agreement)}, scores: correlation ${number(rollout.score_correlation)}, mean difference ${number(rollout.score_difference)}, drift between them ${driftText(rollout.drift.between)}`,
    ...(rollout.disagreements.length === 0 ? [] : [disagreementsTable(one ?? '', other ?? '', rollout)]),
    rollout.conclusion,
  ].join('\n\n');
}

function sidesTable(one: string, other: string, { alarm_rate, latency_ms, failures, drift }: RolloutJson): string {
  const sides = [
    { label: one, side: 'candidate' },
    { label: other, side: 'incumbent' },
  ] as const;
  return table(
    ['', 'abnormal', '', 'p50', 'p99', 'drift', 'not judged'],
    sides.map(({ label, side }) => [
      label,
      percent(alarm_rate[side]),
      bar(alarm_rate[side] ?? 0),
      milliseconds(latency_ms[side].p50),
      milliseconds(latency_ms[side].p99),
      driftText(drift[side]),
      failuresText(failures[side]),
    ]),
  );
}

function failuresText(failures: Readonly<Record<string, number>>): string {
  const some = Object.entries(failures).filter(([, count]) => count > 0);
  return some.length === 0 ? 'none' : some.map(([failure, count]) => `${count} ${failure}`).join(', ');
}

function disagreementsTable(one: string, other: string, { disagreements }: RolloutJson): string {
  const rows = disagreements
    .slice(-DISAGREEMENTS_SHOWN_MAX)
    .toReversed()
    .map(({ timestamp_ms, candidate, incumbent }) => [
      timeText(timestamp_ms),
      judgementText(candidate),
      judgementText(incumbent),
    ]);
  return table(['last disagreements', one, other], rows);
}

function judgementText({ verdict, score, threshold }: RolloutJson['disagreements'][number]['candidate']): string {
  return `${verdict} ${number(score)} (threshold ${number(threshold)})`;
}

function bar(share: number): string {
  const filled = Math.round(share * BAR_WIDTH);
  // A share above 0 is never shown as 0.
  const shown = share > 0 ? Math.max(1, filled) : 0;
  return '█'.repeat(shown) + '·'.repeat(BAR_WIDTH - shown);
}

function timeText(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}

function percent(share: number | null): string {
  return share === null ? '–' : `${(share * 100).toFixed(1)} %`;
}

function milliseconds(value: number | null): string {
  return value === null ? '–' : `${Number(value.toPrecision(2))} ms`;
}

function number(value: number | null): string {
  return value === null ? '–' : Number(value.toPrecision(4)).toString();
}

function driftText(index: number | null): string {
  return index === null ? '–' : `${index.toFixed(2)}${index > MAJOR_DRIFT ? ' (major)' : ''}`;
}

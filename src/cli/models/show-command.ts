import { loadConfig } from '../../config/config-file.ts';
import * as z from 'zod';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { AnyManifest, ModelManifest } from '../../contracts/model-manifest.ts';
import { MAJOR_DRIFT } from '../../domain/model/drift.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import type { AgentConfig } from '../../config/config-schema.ts';
import { ModelDirectory } from '../../models/store/model-directory.ts';
import { agentOf, askAgent } from '../output/agent-request.ts';
import { type Output, printResult } from '../output/output.ts';
import { table } from '../output/table.ts';
import { referenceOf } from './model-argument.ts';

/** `andon models show NAME[@VERSION]`. */
export async function modelsShowCommand(
  text: string,
  options: { readonly config: string; readonly json?: boolean },
  output: Output,
): Promise<number> {
  const { config } = await loadConfig(options.config);
  const { models } = config;
  const { manifest } = await ModelDirectory.of(models).find(referenceOf(text));
  const drift = await liveDrift(config, manifest.name);
  printResult(output, options, {
    document: { ...manifest, drift: drift?.map(({ watch, drift: indexes }) => ({ watch, indexes })) ?? null },
    text: [...manifestText(manifest), driftText(drift)].join('\n'),
  });
  return 0;
}

function manifestText(manifest: AnyManifest): readonly string[] {
  const { name, version, task, description, golden, goldenTolerance, metrics, training } = manifest;
  const isForWatches = judgesWindows(manifest);
  return [
    `${name}@${version}  ${task}`,
    description,
    isForWatches ? windowText(manifest) : '  For clients only: it has no window, so a watch cannot use it.',
    `  golden     ${golden.length} vectors, tolerance ${goldenTolerance}`,
    runtimeText(manifest),
    ...(isForWatches ? [columnTable(manifest)] : []),
    table(
      ['metric', 'value'],
      Object.entries(metrics).map(([metric, value]) => [metric, value.toPrecision(4)]),
    ),
    table(
      ['training', ''],
      Object.entries(training).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
    ),
  ];
}

function runtimeText({ name, sha256, remote }: AnyManifest): string {
  if (remote === undefined) return `  sha256     ${sha256 ?? ''}`;
  const { url, model = name, version, fallback } = remote;
  return `  runs at    ${url}, as ${model}${version === undefined ? '' : ` version ${version}`}
  fallback   ${fallback === undefined ? 'none' : formatModelReference(fallback)}`;
}

function driftText(drift: readonly WatchDrift[] | undefined): string {
  if (drift === undefined) return 'drift: unknown, because no agent answers at http.listen.';
  const rows = drift.flatMap(({ watch, drift: indexes }) =>
    Object.entries(indexes).map(([tag, index]) => [watch, tag, index.toFixed(3), index > MAJOR_DRIFT ? 'drifted' : '']),
  );
  return rows.length === 0 ? 'drift: no drift period has ended yet.' : table(['watch', 'tag', 'drift index', ''], rows);
}

function windowText({ window, abnormal, threshold, deadband, output }: ModelManifest): string {
  const step = window.stepMs === undefined ? '' : ` at ${window.stepMs} ms`;
  const line = `${abnormal} ${threshold} ${output.unit}`.trimEnd();
  return `  window     ${window.steps} steps${step}
  abnormal   ${line}, deadband ${deadband}`;
}

function columnTable({ tags }: ModelManifest): string {
  return table(
    ['tag', 'unit', 'normal range'],
    tags.map(({ name, unit, range }) => [name, unit, range?.map((limit) => limit.toPrecision(4)).join(' – ') ?? '']),
  );
}

const watchesSchema = z.object({
  watches: z.array(z.object({ watch: z.string(), model: z.string(), drift: z.record(z.string(), z.number()) })),
});
type WatchDrift = z.infer<typeof watchesSchema>['watches'][number];

/** Returns the drift of the watches that use a model, from the running agent; undefined if no agent answers. */
async function liveDrift(config: AgentConfig, modelName: string): Promise<readonly WatchDrift[] | undefined> {
  try {
    const { watches } = watchesSchema.parse(await askAgent(agentOf(config), '/api/v1/watches'));
    return watches.filter(({ model }) => model.split('@')[0] === modelName);
  } catch {
    // The command shows a file, so it also works while no agent runs.
    return undefined;
  }
}

import type { ModelReference } from '../../domain/model/model-reference.ts';
import { loadConfig } from '../../config/config-file.ts';
import { probeModels } from '../../offline/model-probe.ts';
import type { ModelStatus } from '../../contracts/inference.ts';
import { MAJOR_DRIFT } from '../../domain/model/drift.ts';
import type { Rejection } from '../../domain/rollout/rollout-plan.ts';
import { formatModelReference, parseModelReference } from '../../domain/model/model-reference.ts';
import type { AnyManifest, ModelManifest } from '../../contracts/model-manifest.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { pinnedVersion } from '../../registry/operations/version-pointers.ts';
import { readRejections } from '../../registry/operations/rejected-versions.ts';
import type { ModelVerification } from '../../registry/proof/model-verification.ts';
import { verifyModel } from '../../registry/proof/model-verification.ts';
import { inferenceHostEntry } from '../../platform/entries.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import { ModelDirectory } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { ConfigError, formatConfigProblem, OperatingError } from '../../platform/errors.ts';
import type { Output } from '../output/output.ts';
import type { WatchDrift } from './live-drift.ts';
import { liveDrift } from './live-drift.ts';
import { quietDeps } from '../output/quiet-deps.ts';
import { modelsVerifyFolderCommand, namesFolder, signatureText, trustInOnly } from './signature-check.ts';
import { table } from '../output/table.ts';

export type ModelsOptions = { readonly config: string; readonly json?: boolean };

/**
 * `andon models list`: every version in the directory; the active ones are loaded, to tell the provider that each
 * really runs on and why not the ones before it.
 * @returns 1 where an active model cannot be used.
 */
export async function modelsListCommand(options: ModelsOptions, output: Output): Promise<number> {
  const models = (await loadConfig(options.config)).config.models;
  const rows = await listModels(models);
  if (options.json === true) output.out(JSON.stringify({ directory: models.directory, models: rows }));
  else if (rows.length === 0) output.out(`There is no model in ${models.directory}.`);
  else {
    output.out(table(['model', 'version', 'active', 'task', 'state', 'provider', 'reason'], rows.map(cells)));
  }
  return rows.some(({ active, state }) => active && state !== 'ready') ? 1 : 0;
}

type ListedModel = {
  readonly name: string;
  readonly version: number;
  readonly active: boolean;
  readonly pinned: boolean;
  readonly task: string | undefined;
  /** `stored` where it was not loaded, because it is not active. */
  readonly state: ModelStatus['state'] | 'stored';
  readonly provider: string | undefined;
  readonly fallbacks: ModelStatus['fallbacks'];
  readonly reason: string;
};

function cells(row: ListedModel): readonly string[] {
  const fallbacks = row.fallbacks.map(({ provider, reason }) => `not on ${provider}: ${reason}`);
  const reasons = [...(row.reason === '' ? [] : [row.reason]), ...fallbacks].join('; ');
  return [
    row.name,
    String(row.version),
    row.active ? (row.pinned ? 'pinned' : 'yes') : '',
    row.task ?? '',
    row.state,
    row.provider ?? '',
    reasons,
  ];
}

async function listModels(models: ModelsConfig): Promise<readonly ListedModel[]> {
  const directory = modelDirectory(models);
  const active: ModelReference[] = [];
  for (const name of await directory.names()) {
    const version = await directory.activeVersion(name);
    if (version !== undefined) active.push({ name, version });
  }
  const probed = await probeModels(models, active, quietDeps());
  // A fallback of a remote model is loaded beside it, and is no active version by that.
  const statuses = new Map(probed.map((status) => [formatModelReference(status), status]));
  const rows: ListedModel[] = [];
  for (const name of await directory.names()) {
    const pinned = await pinnedVersion(models.directory, name).catch(() => undefined);
    const rejections = await readRejections(models.directory, name).catch(() => []);
    for (const version of await directory.versions(name)) {
      const status = active.some((model) => model.name === name && model.version === version)
        ? statuses.get(formatModelReference({ name, version }))
        : undefined;
      const stored = await findOrProblem(directory, { name, version });
      rows.push({
        name,
        version,
        active: status !== undefined,
        pinned: version === pinned,
        task: typeof stored === 'string' ? undefined : stored.manifest.task,
        state: status?.state ?? (typeof stored === 'string' ? 'failed' : 'stored'),
        provider: status?.provider,
        fallbacks: status?.fallbacks ?? [],
        reason: status?.reason ?? (typeof stored === 'string' ? stored : rejectionOf(version, rejections)),
      });
    }
  }
  return rows;
}

/** Why a rollout found the version bad; '' where none did. */
function rejectionOf(version: number, rejections: readonly Rejection[]): string {
  const rejection = rejections.find((candidate) => candidate.version === version);
  return rejection === undefined ? '' : `rejected: ${rejection.reason}`;
}

/** `andon models show NAME[@VERSION]`. */
export async function modelsShowCommand(text: string, options: ModelsOptions, output: Output): Promise<number> {
  const { models, http } = (await loadConfig(options.config)).config;
  const { manifest } = await modelDirectory(models).find(referenceOf(text));
  const drift = await liveDrift(http, manifest.name);
  if (options.json === true) {
    output.out(JSON.stringify({ ...manifest, drift: drift ?? null }));
    return 0;
  }
  const { name, version, task, description, golden, goldenTolerance } = manifest;
  output.out(
    `${name}@${version}  ${task}
${description}
${judgesWindows(manifest) ? windowText(manifest) : '  For clients: it judges no windows, so no watch can name it.'}
  golden     ${golden.length} vectors, tolerance ${goldenTolerance}
${runtimeText(manifest)}`,
  );
  if (judgesWindows(manifest)) output.out(columnTable(manifest));
  output.out(
    table(
      ['metric', 'value'],
      Object.entries(manifest.metrics).map(([metric, value]) => [metric, value.toPrecision(4)]),
    ),
  );
  output.out(
    table(
      ['training', ''],
      Object.entries(manifest.training).map(([key, value]) => [
        key,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    ),
  );
  output.out(driftText(drift));
  return 0;
}

function runtimeText({ name, sha256, remote }: AnyManifest): string {
  if (remote === undefined) return `  sha256     ${sha256 ?? ''}`;
  const { url, model = name, version, fallback } = remote;
  return `  runs at    ${url}, as ${model}${version === undefined ? '' : ` version ${version}`}
  fallback   ${fallback === undefined ? 'none' : formatModelReference(fallback)}`;
}

function driftText(drift: readonly WatchDrift[] | undefined): string {
  if (drift === undefined)
    return 'drift: no agent answers at http.listen, so nothing is known of what the model sees now.';
  const rows = drift.flatMap(({ watch, indexes }) =>
    Object.entries(indexes).map(([tag, index]) => [watch, tag, index.toFixed(3), index > MAJOR_DRIFT ? 'drifted' : '']),
  );
  if (rows.length === 0) return 'drift: no drift period has ended yet.';
  return table(['watch', 'tag', 'drift index', ''], rows);
}

function windowText({ window, abnormal, threshold, deadband, output }: ModelManifest): string {
  const step = window.stepMs === undefined ? '' : ` at ${window.stepMs} ms`;
  const line = `${abnormal} ${threshold} ${output.unit}`.trimEnd();
  return `  window     ${window.steps} steps${step}
  abnormal   ${line}, normal again ${deadband} back from it`;
}

function columnTable({ tags }: ModelManifest): string {
  return table(
    ['tag', 'unit', 'normal range'],
    tags.map(({ name, unit, range }) => [name, unit, range?.map((limit) => limit.toPrecision(4)).join(' – ') ?? '']),
  );
}

export type VerifyOptions = ModelsOptions & { readonly key?: string };

/**
 * `andon models verify [NAME[@VERSION]]`: manifest, SHA-256, graph, golden vectors and latency in a host of its own; and
 * how the signature stands, with `--key` against that key and no other.
 * @returns 1 where one does not hold.
 */
export async function modelsVerifyCommand(
  text: string | undefined,
  options: VerifyOptions,
  output: Output,
): Promise<number> {
  if (text !== undefined && namesFolder(text)) return modelsVerifyFolderCommand(text, options, output);
  const configured = (await loadConfig(options.config)).config.models;
  const models = options.key === undefined ? configured : { ...configured, trust: await trustInOnly(options.key) };
  const directory = modelDirectory(models);
  const wanted = text === undefined ? await everyVersion(directory) : [referenceOf(text)];
  const results = [];
  for (const model of wanted) {
    const problems = (await directory.check(model)).map(formatConfigProblem);
    const proof = problems.length > 0 ? problems : await proofOrProblems(models, model);
    const ok = 'latency' in proof;
    results.push({
      model: formatModelReference(model),
      ok,
      provider: ok ? proof.provider : undefined,
      latency: ok ? proof.latency : undefined,
      problems: ok ? [] : proof,
      signature: await directory.signature(model),
    });
  }
  if (options.json === true) output.out(JSON.stringify({ models: results }));
  else
    for (const { model, ok, provider, problems, signature } of results)
      output.out(
        ok ? `${model}: ok (${provider ?? ''}), ${signatureText(signature)}` : `${model}: ${problems.join('\n  ')}`,
      );
  return results.every(({ ok, signature }) => ok && signature.state !== 'refused') ? 0 : 1;
}

async function proofOrProblems(
  config: ModelsConfig,
  model: ModelReference,
): Promise<ModelVerification | readonly string[]> {
  try {
    return await verifyModel({ entry: inferenceHostEntry, config, model, deps: quietDeps() });
  } catch (error) {
    if (error instanceof ConfigError || error instanceof OperatingError) return [error.message];
    throw error;
  }
}

async function everyVersion(directory: ModelDirectory): Promise<readonly ModelReference[]> {
  const models: ModelReference[] = [];
  for (const name of await directory.names())
    for (const version of await directory.versions(name)) models.push({ name, version });
  return models;
}

function modelDirectory(models: ModelsConfig): ModelDirectory {
  return ModelDirectory.of(models);
}

async function findOrProblem(directory: ModelDirectory, model: ModelReference): Promise<StoredModel | string> {
  try {
    return await directory.find(model);
  } catch (error) {
    if (error instanceof ConfigError || error instanceof OperatingError) return error.message.split('\n')[0] ?? '';
    throw error;
  }
}

export function referenceOf(text: string): ModelReference {
  const model = parseModelReference(text);
  if (model === undefined)
    throw new OperatingError('model-file-invalid', 'reject', `'${text}' names no model: expected NAME or NAME@VERSION`);
  return model;
}

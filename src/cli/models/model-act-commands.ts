import { loadConfig } from '../../config/config-file.ts';
import type { Activated, ExactModel, LatencyFigures, ModelProof } from '../../contracts/model-registry.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import type { VersionRegistry } from '../../registry/version-registry.ts';
import { OperatingError } from '../../platform/errors.ts';
import { referenceOf } from './models-command.ts';
import { commandActor, openRegistry } from './open-registry.ts';
import type { Output } from '../output/output.ts';

export type ModelActOptions = { readonly config: string; readonly json?: boolean };

/**
 * `andon models activate NAME@VERSION`: proves the version first, then names it active. A running agent takes it over
 * within seconds, and keeps the old one until the new one has proved itself there too.
 */
export async function modelsActivateCommand(text: string, options: ModelActOptions, output: Output): Promise<number> {
  const model = exactModel(text);
  const library = await open(options);
  const activated = await library.activate(model, commandActor());
  if (options.json === true) output.out(JSON.stringify(activatedJson(activated)));
  else output.out(activatedText(activated));
  return 0;
}

/** `andon models rollback NAME`: back to the version that was active before, proved like any other. */
export async function modelsRollbackCommand(text: string, options: ModelActOptions, output: Output): Promise<number> {
  const { name } = referenceOf(text);
  const library = await open(options);
  const activated = await library.rollback(name, commandActor());
  if (options.json === true) output.out(JSON.stringify(activatedJson(activated)));
  else output.out(activatedText(activated));
  return 0;
}

/** `andon models pin NAME@VERSION`. */
export async function modelsPinCommand(text: string, options: ModelActOptions, output: Output): Promise<number> {
  const model = exactModel(text);
  const library = await open(options);
  await library.pin(model, commandActor());
  const label = formatModelReference(model);
  if (options.json === true) output.out(JSON.stringify({ model: label, pinned: true }));
  else output.out(`${label} is pinned: it stays active until andon models unpin ${model.name}.`);
  return 0;
}

/** `andon models unpin NAME`. */
export async function modelsUnpinCommand(text: string, options: ModelActOptions, output: Output): Promise<number> {
  const { name } = referenceOf(text);
  const library = await open(options);
  const version = await library.unpin(name, commandActor());
  if (options.json === true) output.out(JSON.stringify({ model: name, version: version ?? null, pinned: false }));
  else output.out(version === undefined ? `${name} was not pinned.` : `${name}@${version} is no longer pinned.`);
  return 0;
}

/** `andon models remove NAME@VERSION`. */
export async function modelsRemoveCommand(
  text: string,
  options: ModelActOptions & { readonly force?: boolean },
  output: Output,
): Promise<number> {
  const model = exactModel(text);
  const library = await open(options);
  await library.remove(model, { force: options.force === true }, commandActor());
  const label = formatModelReference(model);
  if (options.json === true) output.out(JSON.stringify({ model: label, removed: true }));
  else output.out(`${label} is removed.`);
  return 0;
}

export function activatedJson(activated: Activated) {
  const { previous, proof } = activated;
  return { model: formatModelReference(activated), previous: previous ?? null, ...proofJson(proof) };
}

export function proofJson({ provider, golden, latency, sha256 }: ModelProof) {
  return { sha256, provider, golden, latency: latency ?? null };
}

export function activatedText(activated: Activated): string {
  const { previous, version, proof } = activated;
  const before = previous === undefined || previous === version ? '' : `, version ${previous} was`;
  return `${formatModelReference(activated)} is active${before}: ${proofText(proof)}.`;
}

export function proofText({ provider, golden, latency }: ModelProof): string {
  const { vectors, largestDifference } = golden;
  const holds =
    vectors === 0
      ? `it runs on ${provider}, and has no golden vectors, so that what it computes is not proved`
      : `${vectors} golden vectors hold on ${provider} (largest difference ${largestDifference.toPrecision(2)})`;
  return latency === undefined ? `${holds}; not timed, for want of inputs` : `${holds}; ${latencyText(latency)}`;
}

function latencyText({ p50Ms, p99Ms, deadlineMs }: LatencyFigures): string {
  return `a run takes ${p50Ms} ms (p99 ${p99Ms} ms) of the ${deadlineMs} ms it may`;
}

/** The model directory may be what is wrong with the configuration, and it is what is to be mended. */
async function open({ config }: ModelActOptions): Promise<VersionRegistry> {
  return openRegistry(await loadConfig(config, { models: 'unchecked' }));
}

function exactModel(text: string): ExactModel {
  const { name, version } = referenceOf(text);
  if (version !== undefined) return { name, version };
  throw new OperatingError('model-file-invalid', 'reject', `Say which version: ${name}@VERSION`);
}

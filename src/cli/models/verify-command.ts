import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { loadConfig } from '../../config/config-file.ts';
import { formatModelReference, type ModelReference } from '../../domain/model/model-reference.ts';
import { readKeyText } from '../../models/signing/key-files.ts';
import { type SignatureReport, signatureReport } from '../../models/signing/signature-report.ts';
import { trustedKeys } from '../../models/signing/trusted-keys.ts';
import { ModelDirectory } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { inferenceHostEntry } from '../../platform/entries.ts';
import { ConfigError, formatConfigProblem, OperatingError } from '../../platform/errors.ts';
import { type ModelVerification, verifyModel } from '../../registry/proof/model-verification.ts';
import { type Output, printResult } from '../output/output.ts';
import { systemDeps } from '../../platform/deps.ts';
import { namesFolder, referenceOf } from './model-argument.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';

export type VerifyOptions = { readonly config: string; readonly key?: string; readonly json?: boolean };

/**
 * `andon models verify [NAME[@VERSION]]`: checks manifest, SHA-256, graph, golden vectors and latency in a host of its
 * own, and the signature; with `--key` against that key only. For a folder, the signature only.
 *
 * @returns 1 if a check failed.
 */
export async function modelsVerifyCommand(
  text: string | undefined,
  options: VerifyOptions,
  output: Output,
): Promise<number> {
  if (text !== undefined && namesFolder(text)) return verifyFolder(text, options, output);
  const configured = (await loadConfig(options.config)).config.models;
  const models = options.key === undefined ? configured : { ...configured, trust: await trustIn(options.key) };
  const directory = ModelDirectory.of(models);
  const wanted = text === undefined ? await everyVersion(directory) : [referenceOf(text)];
  const results = [];
  for (const model of wanted) {
    const problems = (await directory.check(model)).map((problem) => formatConfigProblem(problem));
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
  const lines = results.map(({ model, ok, provider, problems, signature }) =>
    ok ? `${model}: ok (${provider ?? ''}), ${signatureText(signature)}` : `${model}: ${problems.join('\n  ')}`,
  );
  printResult(output, options, {
    document: { models: results },
    text: lines.length === 0 ? `There is no model in ${models.directory}.` : lines.join('\n'),
  });
  return results.every(({ ok, signature }) => ok && signature.state !== 'refused') ? 0 : 1;
}

/** Checks the signature of a folder; needs no configuration. @returns 1 if it is not signed by the key. */
async function verifyFolder(text: string, options: VerifyOptions, output: Output): Promise<number> {
  const keys = options.key === undefined ? undefined : trustedKeys(await trustIn(options.key));
  const folder = resolve(text);
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) throw inferenceFailure('model-file-invalid', `${text}: there is no such folder`);
  // Without a configuration there is no limit for the size of a model.
  const signature = await signatureReport(folder, keys, Infinity);
  printResult(output, options, { document: { folder, signature }, text: `${text}: ${signatureText(signature)}` });
  return signature.state === 'trusted' ? 0 : 1;
}

/** Returns `models.trust` with one key. */
async function trustIn(keyFile: string): Promise<NonNullable<ModelsConfig['trust']>> {
  return { keys: [{ file: keyFile, pem: (await readKeyText(keyFile)).text }] };
}

function signatureText(signature: SignatureReport): string {
  switch (signature.state) {
    case 'unsigned':
      return 'unsigned';
    case 'trusted':
      return `signed by ${signature.key}, trusted`;
    case 'unchecked':
      return `signed by ${signature.key}, not checked: neither --key nor models.trust names a key`;
    case 'refused':
      return `signature refused: it ${signature.reason}`;
  }
}

async function proofOrProblems(
  config: ModelsConfig,
  model: ModelReference,
): Promise<ModelVerification | readonly string[]> {
  try {
    return await verifyModel({ entry: inferenceHostEntry, config, model, deps: systemDeps() });
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

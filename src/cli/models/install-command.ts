import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { loadConfig } from '../../config/config-file.ts';
import type { Installed, InstallProgress, PackageSource } from '../../contracts/model-registry.ts';
import { formatByteSize } from '../../domain/byte-size.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import { errorMessage } from '../../platform/errors.ts';
import { type Output, printResult } from '../output/output.ts';
import { systemDeps } from '../../platform/deps.ts';
import { openRegistry } from './open-registry.ts';
import { commandUser } from '../output/command-user.ts';
import { activatedJson, activatedText, proofJson, proofText } from './proof-text.ts';

export type InstallOptions = {
  readonly config: string;
  readonly activate?: boolean;
  readonly sha256?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly json?: boolean;
};

/** Minimum time between two lines of progress. */
const PROGRESS_INTERVAL_MS = 2000;

/** `andon models install <folder|tgz|url>`. @returns 0, also if the same version is installed already. */
export async function modelsInstallCommand(text: string, options: InstallOptions, output: Output): Promise<number> {
  const loaded = await loadConfig(options.config, { checkModels: false });
  const request = {
    source: await sourceOf(text, options.header ?? {}),
    sha256: options.sha256,
    activate: options.activate === true,
    onProgress: progressTo(output),
  };
  const installed = await openRegistry(loaded).install(request, commandUser());
  printResult(output, options, {
    document: installedJson(installed),
    text: installedText(installed, options.config),
  });
  return 0;
}

async function sourceOf(text: string, headers: Readonly<Record<string, string>>): Promise<PackageSource> {
  if (/^https?:\/\//i.test(text)) return { kind: 'url', url: text, headers };
  const path = resolve(text);
  try {
    if ((await stat(path)).isDirectory()) return { kind: 'folder', path };
  } catch (error) {
    throw registryFailure('model-package-invalid', errorMessage(error), { cause: error });
  }
  return { kind: 'archive', bytes: createReadStream(path) };
}

function progressTo(output: Output): (progress: InstallProgress) => void {
  const { clock } = systemDeps();
  let lastMs = clock.monotonicMs();
  return (progress) => {
    if (progress.stage === 'verifying') return output.err(`verifying ${progress.model}`);
    if (clock.monotonicMs() - lastMs < PROGRESS_INTERVAL_MS) return;
    lastMs = clock.monotonicMs();
    const { bytes, bytesTotal } = progress;
    const total = bytesTotal === undefined ? '' : ` of ${formatByteSize(bytesTotal)}`;
    output.err(`receiving: ${formatByteSize(bytes)}${total}`);
  };
}

function installedJson(installed: Installed) {
  const { fresh, proof, leftOut, activated } = installed;
  return {
    model: formatModelReference(installed),
    alreadyInstalled: !fresh,
    ...(proof === undefined ? {} : proofJson(proof)),
    leftOut,
    activated: activated === undefined ? null : activatedJson(activated),
  };
}

function installedText(installed: Installed, configFile: string): string {
  const { fresh, proof, leftOut, activated } = installed;
  const label = formatModelReference(installed);
  return [
    ...(leftOut.length === 0 ? [] : [`Skipped, because they are not part of a package: ${leftOut.join(', ')}`]),
    fresh && proof !== undefined ? `${label} is installed: ${proofText(proof)}.` : `${label} is already installed.`,
    activated === undefined
      ? `It is not active. To activate it: andon models activate ${label} -c ${configFile}`
      : activatedText(activated),
  ].join('\n');
}

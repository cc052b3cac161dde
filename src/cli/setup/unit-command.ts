import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { PositionedDocument } from '../../platform/positioned-document.ts';
import { loadConfig, type LoadedConfig } from '../../config/config-file.ts';
import { lookUpModels } from '../../config/config-model-checks.ts';
import { type ConfigProblem, errorCode, OperatingError } from '../../platform/errors.ts';
import { boxFacts } from '../../service/box-facts.ts';
import { dropInText } from '../../service/drop-in.ts';
import { dropInPath, installedUnit } from '../../service/installed-unit.ts';
import { configUrls, type UnitNeed, unitNeeds } from '../../service/unit-needs.ts';
import type { UnitSettings } from '../../service/unit-settings.ts';
import { configOption, runs } from '../output/command.ts';
import type { Output } from '../output/output.ts';

export type UnitOptions = {
  readonly config: string;
  /** True to write the drop-in instead of printing it. */
  readonly write?: boolean;
  /** Root of the file system with the unit. */
  readonly root: string;
};

/** Defines `andon unit`. */
export function defineUnit(command: Command): void {
  command
    .addOption(configOption)
    .option('--write', 'write it to /etc/systemd/system/andon.service.d, or remove it if none is needed')
    .option('--root <folder>', 'root of the file system with the unit', '/')
    .action(runs(unitCommand));
}

/**
 * `andon unit`: prints or writes the drop-in for a configuration.
 * @returns Exit code: 0, or 1 if something is needed that no setting of the unit allows.
 * @throws {OperatingError} 'unit-missing' (reject), 'unit-not-written' (retry).
 */
export async function unitCommand({ config: file, write, root }: UnitOptions, output: Output): Promise<number> {
  const unit = installedUnit(root);
  if (unit === undefined)
    throw new OperatingError(
      'unit-missing',
      'reject',
      `No andon.service is installed below ${root}. Install the service first: docs/install.md`,
    );
  const loaded = await loadConfig(file);
  const needs = await needsOf(loaded, root, unit.base);
  const text = dropInText(needs, resolve(file));
  if (write === true) output.out(await writeDropIn(dropInPath(root), text));
  else output.out(text ?? `# ${file} needs no drop-in`);
  const open = needs.filter(({ remedy }) => remedy !== undefined);
  for (const need of open) output.err(`${need.path.join('.')}: ${messageOf(need)}`);
  return open.length === 0 ? 0 : 1;
}

/** Writes the drop-in if the installed service uses this configuration. Does nothing otherwise. */
export async function fitUnit(file: string, output: Output, root = '/'): Promise<void> {
  const unit = installedUnit(root);
  if (unit?.configFile === undefined || resolve(file) !== resolve(unit.configFile)) return;
  try {
    await unitCommand({ config: file, write: true, root }, output);
  } catch (error) {
    // `check` reports what is blocked, and the command for it.
    if (errorCode(error) !== 'unit-not-written') throw error;
  }
}

/** @returns What was done. */
async function writeDropIn(path: string, text: string | undefined): Promise<string> {
  const apply = 'systemctl daemon-reload && systemctl restart andon';
  try {
    const before = await readFile(path, 'utf8').catch(() => undefined);
    if (before === text) return text === undefined ? 'the unit needs no drop-in' : `${path} is up to date`;
    if (text === undefined) {
      await rm(path);
      return `removed ${path}, which is no longer needed. Apply it: ${apply}`;
    }
    await mkdir(dirname(path), { recursive: true });
    // The same for every user, as all units.
    await writeFile(path, text, { mode: 0o644 });
    return `wrote ${path}. Apply it: ${apply}`;
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error) ?? '')) throw error;
    throw new OperatingError(
      'unit-not-written',
      'retry',
      `${path} cannot be written (${errorCode(error)}). Run the command with sudo`,
    );
  }
}

/** Returns warnings for everything that the sandbox of the installed service blocks; none if it does not use this file. */
export async function sandboxWarnings(loaded: LoadedConfig, root = '/'): Promise<readonly ConfigProblem[]> {
  const unit = installedUnit(root);
  if (unit?.configFile === undefined || resolve(loaded.file) !== resolve(unit.configFile)) return [];
  const needs = await needsOf(loaded, root, unit.effective);
  const document = new PositionedDocument(await readFile(loaded.file, 'utf8'));
  return needs.map((need) => ({
    ...document.position(need.path, 'value'),
    file: loaded.file,
    path: need.path.join('.'),
    message: messageOf(need),
  }));
}

function messageOf({ reason, remedy, settings }: UnitNeed): string {
  const lines = settings.map(([key, value]) => `${key}=${value}`).join(', ');
  return `${reason}: ${remedy ?? `run sudo andon unit --write (${lines})`}`;
}

async function needsOf({ config }: LoadedConfig, root: string, unit: UnitSettings): Promise<readonly UnitNeed[]> {
  const { models } = await lookUpModels(config);
  const servers = [...models.values()].flatMap((found) =>
    'manifest' in found ? (found.manifest.remote?.url ?? []) : [],
  );
  return unitNeeds(config, servers, await boxFacts(configUrls(config, servers, unit), root), unit);
}

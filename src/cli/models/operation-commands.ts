import { type Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../../config/config-file.ts';
import type { Activated } from '../../contracts/model-registry.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import type { VersionRegistry } from '../../registry/version-registry.ts';
import { runs, subcommand } from '../output/command.ts';
import { type Output, printResult } from '../output/output.ts';
import { modelsAuditCommand } from './audit-command.ts';
import { modelsInstallCommand } from './install-command.ts';
import { exactModel, referenceOf } from './model-argument.ts';
import { openRegistry } from './open-registry.ts';
import { commandUser } from '../output/command-user.ts';
import { activatedJson, activatedText } from './proof-text.ts';

type OperationOptions = { readonly config: string; readonly json?: boolean; readonly force?: boolean };
type Result = { readonly document: unknown; readonly text: string };
/** Runs an operation of the registry on the model that the argument names. */
type Run = (registry: VersionRegistry, text: string, options: OperationOptions) => Promise<Result>;

/** `andon models install | activate | rollback | pin | unpin | remove | audit`. */
export function addOperationCommands(models: Command): void {
  subcommand(models, 'install', 'proves a package and adds it to the model directory; does not activate it')
    .argument('<package>', 'a folder, a .tgz, or the http:// or https:// URL of one')
    .option('--activate', 'activate the version too')
    .option('--sha256 <hash>', 'SHA-256 that the archive must have', sha256)
    .option('--header <name: value>', 'sent with the request for a URL; may be given several times', header)
    .action(runs(modelsInstallCommand));
  addOperation(models, ['activate', 'NAME@VERSION', 'proves a version and makes it the active one'], activate);
  addOperation(models, ['rollback', 'NAME', 'proves and activates the previous version'], rollback);
  addOperation(models, ['pin', 'NAME@VERSION, the active one', 'prevents any change of the active version'], pin);
  addOperation(models, ['unpin', 'NAME', 'removes the pin'], unpin);
  addOperation(models, ['remove', 'NAME@VERSION', 'deletes a version that is not in use'], remove).option(
    '--force',
    'also the previous version, after which no rollback is possible',
  );
  subcommand(models, 'audit', 'the audit log of the model directory, checked; exit 1 if it was changed')
    .option('--contains <hash>', 'a hash stored elsewhere, which the log must still contain', sha256)
    .action(runs(modelsAuditCommand));
}

function addOperation(
  models: Command,
  [name, argument, description]: readonly [string, string, string],
  run: Run,
): Command {
  return subcommand(models, name, description)
    .argument('<model>', argument)
    .action(
      runs(async (text: string, options: OperationOptions, output: Output) => {
        // The name is checked before the configuration is read.
        referenceOf(text);
        // Problems of the models are not reported: the command may be the one that fixes them.
        const registry = openRegistry(await loadConfig(options.config, { checkModels: false }));
        printResult(output, options, await run(registry, text, options));
        return 0;
      }),
    );
}

/** A running agent loads the version within seconds. It keeps the old one until the new one is proved there too. */
const activate: Run = async (registry, text) =>
  activatedResult(await registry.activate(exactModel(text), commandUser()));

const rollback: Run = async (registry, text) =>
  activatedResult(await registry.rollback(referenceOf(text).name, commandUser()));

const pin: Run = async (registry, text) => {
  const model = exactModel(text);
  await registry.pin(model, commandUser());
  const label = formatModelReference(model);
  return {
    document: { model: label, pinned: true },
    text: `${label} is pinned. It stays active until: andon models unpin ${model.name}`,
  };
};

const unpin: Run = async (registry, text) => {
  const { name } = referenceOf(text);
  const version = await registry.unpin(name, commandUser());
  return {
    document: { model: name, version: version ?? null, pinned: false },
    text: version === undefined ? `${name} was not pinned.` : `${name}@${version} is no longer pinned.`,
  };
};

const remove: Run = async (registry, text, { force }) => {
  const model = exactModel(text);
  await registry.remove(model, { force: force === true }, commandUser());
  const label = formatModelReference(model);
  return { document: { model: label, removed: true }, text: `${label} is removed.` };
};

function activatedResult(activated: Activated): Result {
  return { document: activatedJson(activated), text: activatedText(activated) };
}

function sha256(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('expected 64 hexadecimal digits');
}

/** @param before Headers of the options before this one. */
function header(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const match = /^([\w!#$%&'*+.^`|~-]+)\s*:\s*(.*)$/.exec(text);
  if (match?.[1] === undefined) throw new InvalidArgumentError("expected a header such as 'authorization: Bearer …'");
  return { ...before, [match[1].toLowerCase()]: match[2] ?? '' };
}

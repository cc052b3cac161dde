import { commandFailure } from '../app/command-errors.ts';
import { type Command, Option } from 'commander';
import { loadConfig } from '../config/config-file.ts';
import { formatByteSize } from '../domain/byte-size.ts';
import { writeBackup } from '../offline/backup.ts';
import { restoreBackup } from '../offline/restore.ts';
import { SystemClock } from '../platform/clock.ts';
import { readSecret } from '../platform/config-fields.ts';
import { runs, withConfig } from './output/command.ts';
import { type Output, printResult } from './output/output.ts';
import { statSync } from 'node:fs';

/** A short passphrase is guessed in hours: the file can be tried offline. */
const PASSPHRASE_LENGTH_MIN = 12;

type PassphraseOptions = { readonly passphraseEnv?: string; readonly passphraseFile?: string };
type BackupOptions = PassphraseOptions & {
  readonly config: string;
  readonly out?: string;
  readonly history: boolean;
  readonly json?: boolean;
};
type RestoreOptions = PassphraseOptions & { readonly config: string; readonly json?: boolean };

/** Defines `andon backup`. */
export function defineBackup(command: Command): void {
  withPassphrase(withConfig(command))
    .option('--out <file>', 'the new file; by default andon-<agent>-<time>.tar.gz in this folder')
    .option('--no-history', 'leaves the sample history out')
    .action(runs(backupCommand));
}

/** Defines `andon restore`. */
export function defineRestore(command: Command): void {
  withPassphrase(withConfig(command)).argument('<file>', 'a file of `andon backup`').action(runs(restoreCommand));
}

function withPassphrase(command: Command): Command {
  return command
    .addOption(
      new Option('--passphrase-env <name>', 'environment variable with the passphrase').conflicts('passphraseFile'),
    )
    .option('--passphrase-file <file>', 'file with the passphrase');
}

async function backupCommand(options: BackupOptions, output: Output): Promise<number> {
  // A backup has everything in it.
  process.umask(0o077);
  const passphrase = passphraseOf(options);
  if (passphrase !== undefined && passphrase.length < PASSPHRASE_LENGTH_MIN)
    throw commandFailure(
      'backup-passphrase',
      `The passphrase has ${passphrase.length} characters; it needs ${PASSPHRASE_LENGTH_MIN} or more`,
    );
  // A model that is not usable must not prevent a backup.
  const loaded = await loadConfig(options.config, { checkModels: false });
  const nowMs = new SystemClock().nowMs();
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const name = `andon-${loaded.config.agent.id}-${time}.tar.gz${passphrase === undefined ? '' : '.enc'}`;
  const { out: file = name, history } = options;
  const { files } = await writeBackup({ loaded, file, passphrase, history, nowMs });
  const bytes = statSync(file).size;
  const databases = Object.keys(files).filter((path) => path.startsWith('databases/'));
  const text = `${file}: ${formatByteSize(bytes)}, ${databases.length} databases, ${Object.keys(files).length} files${passphrase === undefined ? '' : ', encrypted'}. Secrets, users, certificates and audit logs are not in it.`;
  printResult(output, options, {
    document: { ok: true, file, bytes, encrypted: passphrase !== undefined, files },
    text,
  });
  return 0;
}

async function restoreCommand(file: string, options: RestoreOptions, output: Output): Promise<number> {
  const nowMs = new SystemClock().nowMs();
  const restored = await restoreBackup({ file, passphrase: passphraseOf(options), configFile: options.config, nowMs });
  const { manifest, databases, replaced, configuration } = restored;
  const lines = [
    `Restored ${databases.join(', ')} of agent ${manifest.agent} from ${manifest.time}.`,
    ...(configuration
      ? [`The configuration ${options.config} came from the backup. Put its secrets, users and certificates in place.`]
      : []),
    ...replaced.map((folder) => `What was there before is in ${folder}.`),
    'The next start begins a new epoch. Stop the box that this backup came from for good: two must not have one agent.id.',
  ];
  printResult(output, options, { document: { ok: true, ...restored }, text: lines.join('\n') });
  return 0;
}

function passphraseOf({ passphraseEnv, passphraseFile }: PassphraseOptions): string | undefined {
  if (passphraseEnv !== undefined) return readSecret({ env: passphraseEnv });
  return passphraseFile === undefined ? undefined : readSecret({ file: passphraseFile });
}

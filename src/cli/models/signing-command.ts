import type { Command } from 'commander';
import { resolve } from 'node:path';
import { loadConfig } from '../../config/config-file.ts';
import { readPrivateKey, writeKeyPair } from '../../models/signing/key-files.ts';
import { shortKeyId } from '../../models/signing/signing-key.ts';
import { trustedKeys } from '../../models/signing/trusted-keys.ts';
import { ModelDirectory } from '../../models/store/model-directory.ts';
import { signVersion } from '../../models/store/sign-version.ts';
import { readSecret } from '../../platform/config-fields.ts';
import { jsonOption, runs, subcommand } from '../output/command.ts';
import { type Output, printResult } from '../output/output.ts';
import { namesFolder, referenceOf } from './model-argument.ts';

type KeygenOptions = { readonly passphraseFile?: string; readonly json?: boolean };
type SignOptions = KeygenOptions & { readonly config: string; readonly key: string };

/** `models keygen` and `models sign`. */
export function addSigningCommands(models: Command): void {
  subcommand(
    models,
    'sign',
    'signs the files of a version: writes model.sig, in the bundle format of OpenSSF model signing',
  )
    .argument('<model>', 'NAME, NAME@VERSION, or the folder of a version (./1), which needs no configuration')
    .requiredOption('--key <file>', 'private key in PEM')
    .option('--passphrase-file <file>', 'file with the passphrase of the key')
    .action(runs(modelsSignCommand));
  models
    .command('keygen')
    .argument('<file>', 'file for the private key; the public key is written to <file>.pub')
    .description('creates an Ed25519 key pair to sign models with')
    .option('--passphrase-file <file>', 'encrypts the private key with the passphrase in this file')
    .addOption(jsonOption)
    .action(runs(modelsKeygenCommand));
}

async function modelsKeygenCommand(file: string, options: KeygenOptions, output: Output): Promise<number> {
  const { publicPath, key } = await writeKeyPair(file, passphraseOf(options));
  printResult(output, options, {
    document: { key: key.id, private: file, public: publicPath },
    text: `Key ${shortKeyId(key.id)} is in ${file}. Keep it only where models are signed.
The public key is in ${publicPath}. Name it under models.trust.keys on every machine that must trust it.`,
  });
  return 0;
}

async function modelsSignCommand(text: string, options: SignOptions, output: Output): Promise<number> {
  const { key, exposed } = await readPrivateKey(options.key, passphraseOf(options));
  if (exposed) output.err(`warning: other users have access to ${options.key}. To fix it: chmod 600 ${options.key}`);
  const target = await targetOf(text, options.config);
  const { model, files } = await signVersion(target.folder, key, target);
  if (target.trusted?.some(({ id }) => id === key.id) === false)
    output.err(`warning: ${options.config} does not trust this key: its public key is not in models.trust.keys`);
  printResult(output, options, {
    document: { model, folder: target.folder, key: key.id, files },
    text: `${model} is signed by key ${shortKeyId(key.id)}: ${files.join(', ')}`,
  });
  return 0;
}

async function targetOf(text: string, configFile: string) {
  // Without a configuration there is no limit for the size of a model.
  if (namesFolder(text))
    return { folder: resolve(text), expected: undefined, modelBytesMax: Infinity, trusted: undefined };
  const { models } = (await loadConfig(configFile)).config;
  const { folder, ...expected } = await ModelDirectory.of(models).locate(referenceOf(text));
  return { folder, expected, modelBytesMax: models.maxModelSizeBytes, trusted: trustedKeys(models.trust) };
}

function passphraseOf({ passphraseFile }: KeygenOptions): string | undefined {
  return passphraseFile === undefined ? undefined : readSecret({ file: passphraseFile });
}

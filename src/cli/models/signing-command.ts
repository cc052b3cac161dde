import type { Command } from 'commander';
import { resolve } from 'node:path';
import { loadConfig } from '../../config/config-file.ts';
import { ModelDirectory } from '../../models/store/model-directory.ts';
import { readPrivateKey, writeKeyPair } from '../../models/signing/key-files.ts';
import { signVersion } from '../../models/store/sign-version.ts';
import { shortKeyId } from '../../models/signing/signing-key.ts';
import { trustedKeys } from '../../models/signing/trusted-keys.ts';
import { readSecret } from '../../platform/config-fields.ts';
import { referenceOf } from './models-command.ts';
import type { Output } from '../output/output.ts';
import { namesFolder } from './signature-check.ts';
import type { CommandContext } from '../output/command-context.ts';

type KeygenOptions = { readonly passphraseFile?: string; readonly json?: boolean };
type SignOptions = KeygenOptions & { readonly config: string; readonly key: string };

/** `models keygen` and `models sign`. */
export function addSigningCommands(models: Command, { output, done, config, json }: CommandContext): void {
  models
    .command('sign')
    .argument('<model>', 'NAME, NAME@VERSION, or the folder of a version (./1), which needs no configuration')
    .description('signs a version as it is, in the bundle format of OpenSSF model signing: model.sig beside it')
    .requiredOption('--key <file>', 'private key in PEM')
    .option('--passphrase-file <file>', 'where the passphrase of the key is')
    .addOption(config())
    .addOption(json())
    .action(async (text: string, options: SignOptions) => done(await modelsSignCommand(text, options, output)));
  models
    .command('keygen')
    .argument('<file>', 'where the private key goes; the public one gets .pub after its name')
    .description('makes an Ed25519 key pair to sign models with')
    .option('--passphrase-file <file>', 'encrypts the private key with the passphrase in this file')
    .addOption(json())
    .action(async (file: string, options: KeygenOptions) => done(await modelsKeygenCommand(file, options, output)));
}

async function modelsKeygenCommand(file: string, options: KeygenOptions, output: Output): Promise<number> {
  const { publicPath, key } = await writeKeyPair(file, passphraseOf(options));
  if (options.json === true) output.out(JSON.stringify({ key: key.id, private: file, public: publicPath }));
  else
    output.out(`Key ${shortKeyId(key.id)} is in ${file}: keep it where models are signed, and nowhere else.
Its public half is in ${publicPath}: name that under models.trust.keys of every box that is to trust it.`);
  return 0;
}

async function modelsSignCommand(text: string, options: SignOptions, output: Output): Promise<number> {
  const { key, exposed } = await readPrivateKey(options.key, passphraseOf(options));
  if (exposed) output.err(`warning: others than its owner have access to ${options.key}: chmod 600 ${options.key}`);
  const place = await placeOf(text, options.config);
  const { model, files } = await signVersion(place.folder, key, place);
  if (place.trusted?.some(({ id }) => id === key.id) === false)
    output.err(`warning: ${options.config} does not trust this key: its public half is not in models.trust.keys`);
  if (options.json === true) output.out(JSON.stringify({ model, folder: place.folder, key: key.id, files }));
  else output.out(`${model} is signed by key ${shortKeyId(key.id)}: ${files.join(', ')}`);
  return 0;
}

async function placeOf(text: string, configFile: string) {
  // A folder that somebody names is read for as long as it takes: how large a model may be is for each box to say.
  if (namesFolder(text))
    return { folder: resolve(text), expected: undefined, modelBytesMax: Infinity, trusted: undefined };
  const { models } = (await loadConfig(configFile)).config;
  const { folder, ...expected } = await ModelDirectory.of(models).locate(referenceOf(text));
  return { folder, expected, modelBytesMax: models.maxModelSizeBytes, trusted: trustedKeys(models.trust) };
}

function passphraseOf({ passphraseFile }: KeygenOptions): string | undefined {
  return passphraseFile === undefined ? undefined : readSecret({ file: passphraseFile });
}

import { commandFailure } from '../../app/command-errors.ts';
import { access, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { readConfigText } from '../../config/files/config-text.ts';
import { parseCsvTable } from '../../csv/csv-table.ts';
import { simplified } from '../../domain/nearest-word.ts';
import { ConfigError, errorCode, OperatingError } from '../../platform/errors.ts';
import { packageFile } from '../../platform/package-files.ts';
import { AccountsFile } from '../access/accounts-file.ts';
import { addFirstUser, firstUserJson, firstUserText } from '../access/first-user.ts';
import { checkCommand } from './check-command.ts';
import { DEFAULT_CONFIG, jsonOption, runs } from '../output/command.ts';
import type { Output } from '../output/output.ts';
import { shownPath } from './import-files.ts';
import { scanCommand } from './scan-command.ts';
import { fitUnit } from './unit-command.ts';

export type InitOptions = {
  readonly url?: string;
  readonly unit?: string;
  readonly tags?: string;
  readonly scan?: boolean;
  readonly machine?: string;
  readonly agent?: string;
  readonly passwordFile?: string;
  readonly json?: boolean;
};

const schemaFile = fileURLToPath(packageFile('docs/andon.schema.json'));
/** Tags of a first watch. More columns need more data to learn from. */
const WATCHED_TAGS_MAX = 30;

/** Defines `andon init`. */
export function defineInit(command: Command): void {
  command
    .argument('[file]', 'configuration to write', 'andon.yaml')
    .option('--url <url>', 'device or broker: tcp://10.0.0.7:502, serial:///dev/ttyUSB0, mqtt://127.0.0.1:1883')
    .option('--unit <n>', 'Modbus unit id')
    .option('--tags <file>', 'register list as CSV, with the columns name, register, address, type, unit, …')
    .option('--scan', 'find the registers or topics of the device instead')
    .option('--machine <name>', "the machine's name, for the watch")
    .option('--agent <id>', 'unique name of this box')
    .option('--password-file <file>', 'password of the first user, admin; by default one is made and printed once')
    .addOption(jsonOption)
    .action(runs(initCommand));
}

/** `andon init`. @returns Exit code of `andon check` for the new file, which is not kept unless it passes. @throws {OperatingError} 'file-exists' (reject). */
export async function initCommand(file: string, options: InitOptions, output: Output): Promise<number> {
  // One document on standard output: the steps go to standard error.
  const steps: Output = options.json === true ? { ...output, out: (text) => output.err(text) } : output;
  await refuseExisting(file);
  const answers = await askFor(options);
  const directory = dirname(resolve(file));
  const { machine, url } = answers;
  const tags = answers.tags ?? resolve(directory, `${machine}.csv`);
  if (answers.tags === undefined) await refuseExisting(tags);
  if (answers.tags === undefined && (await scan(answers, tags, steps)) !== 0)
    throw commandFailure('scan-found-nothing', `${url} gave no tags, so ${file} was not written`);
  const tagFile = resolve(tags);
  const watched = await watchedTags(tagFile);
  const text = configText(answers, directory, shownPath(file, tagFile), watched);
  await writeFile(file, text, { flag: 'wx' });
  const accounts = await AccountsFile.of(file);
  const user = await addFirstUser(accounts, { ...options, config: file });
  try {
    await fitUnit(file, steps);
  } catch (error) {
    // The check below reports the problems.
    if (!(error instanceof ConfigError)) throw error;
  }
  const code = await checkCommand(file, { json: false, strict: false }, steps);
  if (code !== 0) {
    await unlink(file);
    if (typeof user === 'object' && user.isNewFile) await unlink(accounts.path);
    output.err(`${file} is not kept: correct the problems above, and run andon init again`);
    if (options.json === true) output.out(JSON.stringify({ ok: false, file }));
    return code;
  }
  steps.out(`${file} is written. Next: andon check --live ${file}, then andon run -c ${file}`);
  if (options.json === true) output.out(JSON.stringify({ ok: true, file, ...firstUserJson(user) }));
  else if (user !== 'exists') output.out(firstUserText(user, file));
  return code;
}

async function refuseExisting(file: string): Promise<void> {
  const exists = await access(file).then(
    () => true,
    (error: unknown) => errorCode(error) !== 'ENOENT',
  );
  if (exists) throw commandFailure('file-exists', `${file} exists already and is not overwritten`);
}

type Answers = Required<Pick<InitOptions, 'url' | 'unit' | 'machine' | 'agent'>> & {
  readonly tags: string | undefined;
};

/** Asks at a terminal for what the options leave open. @throws {OperatingError} 'init-incomplete' without a terminal. */
async function askFor(options: InitOptions): Promise<Answers> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  const missing = options.url === undefined || (options.tags === undefined && options.scan !== true);
  if (missing && !isTerminal)
    throw commandFailure('init-incomplete', 'Without a terminal, give --url, and --tags or --scan');
  const lines = missing ? createInterface({ input: process.stdin, output: process.stdout }) : undefined;
  const ask = async <T extends string | undefined>(question: string, standard: T): Promise<string | T> => {
    const answer = await lines?.question(`${question}${standard === undefined ? '' : ` [${standard}]`}: `);
    return answer === undefined || answer.trim() === '' ? standard : answer.trim();
  };
  const url = options.url ?? (await ask('Device or broker', 'tcp://10.0.0.7:502'));
  const isBroker = /^(mqtts?|wss?):/.test(url);
  const unit = options.unit ?? (isBroker ? '1' : await ask('Modbus unit id', '1'));
  const machine = options.machine ?? (await ask("Machine's name", 'machine-1'));
  const agent = options.agent ?? (await ask('Name of this box', hostname()));
  const asksForTags = options.tags === undefined && options.scan !== true;
  const listQuestion = 'Register list (CSV file); empty scans the device';
  const tags = asksForTags ? await ask(listQuestion, undefined) : options.tags || undefined;
  lines?.close();
  return { url, unit, machine, agent, tags };
}

function scan({ url, unit }: Answers, tags: string, output: Output): Promise<number> {
  const units = { first: Number(unit), last: Number(unit) };
  const addresses = { first: 0, last: 999 };
  const options = { units, addresses, timeout: 1000, topic: '#', for: 10_000, writeTags: tags };
  return scanCommand(url, options, output);
}

/** Returns the tags of a register list that a first watch can judge: numbers, not states or texts. */
async function watchedTags(tags: string): Promise<readonly string[]> {
  const read = await readConfigText(tags);
  if ('problem' in read) throw new OperatingError('csv-unreadable', 'reject', `${tags}: ${read.problem}`);
  const { header, rows } = parseCsvTable(read.text);
  const column = (key: string) => header?.cells.findIndex((cell) => simplified(cell) === key) ?? -1;
  const [name, type] = [column('name'), column('type')];
  return rows
    .filter(({ cells }) => !['bool', 'string'].includes(cells[type] ?? ''))
    .flatMap(({ cells }) => cells[name] ?? [])
    .filter((text) => text !== '' && !text.startsWith('#'))
    .slice(0, WATCHED_TAGS_MAX);
}

function configText(
  { url, unit, machine, agent }: Answers,
  directory: string,
  tagFile: string,
  watched: readonly string[],
): string {
  // The service may write to its state folder only.
  const state = directory === dirname(DEFAULT_CONFIG) ? '/var/lib/andon/' : '';
  const isBroker = /^(mqtts?|wss?):/.test(url);
  const scanKeys = isBroker
    ? ''
    : `    unitId: ${Number(unit)}
    scanInterval: 1s             # how often tags are read; andon plan shows whether the device keeps up
    byteOrder: ABCD              # CDAB if floats make no sense: andon check --live shows the values
`;
  return `# yaml-language-server: $schema=${schemaFile}
# Check it with: andon check FILE, with the devices: andon check --live FILE. Every key: docs/configuration.md

agent:
  id: ${quoted(agent)}   # unique among all boxes; records and topics start with it

sources:
  ${quoted(machine)}:
    type: ${isBroker ? 'mqtt' : 'modbus'}
    url: ${quoted(url)}
${scanKeys}    tags:
      file: ${quoted(tagFile)}   # edit it in a spreadsheet; tags may also be given here

models:
  directory: ${state}models              # relative to this file; models that are learned are stored here

watches:
  ${quoted(machine)}:
    tags: [${watched.map(quoted).join(', ')}]
    learn: { for: 24h, activate: propose }     # learns what is normal, then proposes a model
    window: { step: 1s, hop: 1s, maxAge: 5s }  # a value older than maxAge counts as missing
    alarm: { threshold: model, onDelay: 3s, offDelay: 10s, priority: medium }

outbox:
  path: ${state}outbox.db                # records and samples on this box

# publish: { type: mqtt, url: mqtt://127.0.0.1:1883 }   # verdicts and alarms for subscribers in the plant
http:
  listen: 127.0.0.1:8080         # dashboard, health and API
  users: users.yaml              # who may log in: andon users add NAME --role operator
  anonymous: viewer              # anyone on this box may look; acknowledging needs a login. Remove it for logins only
`;
}

/** A YAML scalar. */
function quoted(text: string): string {
  return /^[A-Za-z][\w.:/@-]*$/.test(text) && !/^(true|false|null|yes|no|on|off)$/i.test(text)
    ? text
    : `'${text.replaceAll("'", "''")}'`;
}

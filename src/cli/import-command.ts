import { commandFailure } from '../app/command-errors.ts';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import { PositionedDocument, isPlainObject, valueAt } from '../platform/positioned-document.ts';
import { readConfigText } from '../config/files/config-text.ts';
import { encodingOf, spreadsheetProblem } from '../csv/csv-text.ts';
import { errorMessage } from '../platform/errors.ts';
import { type ByteOrder, byteOrders } from '../sources/modbus/frame/register-decode.ts';
import type { Finding, ImportedSource, ImportSettings, OpenSetting, TagImport } from '../tag-import/imported-tags.ts';
import { listColumns } from '../tag-import/list-columns.ts';
import { type TagReaderName, tagReaders } from '../tag-import/readers.ts';
import { EXIT_CONFIG, EXIT_USAGE, jsonOption, runs } from './output/command.ts';
import type { Output } from './output/output.ts';
import { planCommand } from './plan-command.ts';
import { checkCommand, plural } from './setup/check-command.ts';
import { tagFilePaths, writeImportedTags, writeSources, type WrittenTagFile } from './setup/import-files.ts';

/** Largest export: enough for about 100,000 tags in JSON. */
const FILE_BYTES_MAX = 50_000_000;
/** Addresses for documentation (RFC 5737): the device or broker of a configuration that is only checked. */
const NO_DEVICE = 'tcp://192.0.2.1:502';
const NO_BROKER = 'mqtt://192.0.2.1:1883';

/** 40001: the numbers of a manual. */
const addressBases = ['0', '1', '40001'] as const;
type AddressBase = (typeof addressBases)[number];

export type ImportOptions = {
  readonly as: TagReaderName;
  readonly out?: string;
  readonly config?: string;
  readonly url?: string;
  readonly addressBase?: AddressBase;
  readonly byteOrder?: ByteOrder;
  readonly columns?: ReadonlyMap<string, string>;
  readonly json?: boolean;
};

/** Defines `andon import`. */
export function defineImport(command: Command): void {
  command
    .argument('<file>', 'export of another tool')
    .addOption(new Option('--as <kind>', 'what the file is').choices(Object.keys(tagReaders)).makeOptionMandatory())
    .option('--out <file>', 'tag file (.csv) or configuration (.yaml) to write; one that exists is merged')
    .option('-c, --config <file>', 'configuration that uses the tag file, or gets the sources of the file')
    .option('--url <url>', 'device, if the file does not name it: tcp://10.0.0.7:502')
    .addOption(new Option('--address-base <n>', 'number of the first register in the file').choices(addressBases))
    .addOption(new Option('--byte-order <order>', 'of values in several registers').choices([...byteOrders]))
    .option('--columns <key=header,…>', 'columns of a CSV: name=Tag,address=Adresse,type=Typ', columns)
    .addOption(jsonOption)
    .action(runs(importCommand));
}

/**
 * `andon import FILE --as KIND`.
 * @returns Exit code: 0, 1 if something is not understood, 64 if the file leaves a setting open, 78 if the result does
 *   not pass `check`.
 */
export async function importCommand(file: string, options: ImportOptions, output: Output): Promise<number> {
  const text = await textOf(file);
  const read = (settings: ImportSettings) => tagReaders[options.as](text, settings);
  const given: ImportSettings = {
    ...(options.addressBase === undefined ? {} : countedFrom(options.addressBase)),
    byteOrder: options.byteOrder,
    columns: options.columns,
  };
  let result = read(given);
  if (result.open.length > 0) {
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY && options.json !== true;
    const answered = isTerminal ? await ask(result.open, given, options.as) : undefined;
    if (answered === undefined) return refuse(result.open, options, output);
    result = read(answered);
  }
  return finish(file, result, options, output);
}

async function finish(file: string, result: TagImport, options: ImportOptions, output: Output): Promise<number> {
  const { sources, findings } = result;
  const isConfig = options.out === undefined ? sources.some(hasUrl) : /\.ya?ml$/i.test(options.out);
  const stem = basename(file, extname(file));
  const out = options.out ?? (isConfig ? (options.config ?? `${stem}.andon.yaml`) : `${stem}.tags.csv`);
  const described = sources.map((source) => {
    const nowhere = source.keys['type'] === undefined ? NO_DEVICE : NO_BROKER;
    return hasUrl(source) ? source : { ...source, keys: { url: options.url ?? nowhere, ...source.keys } };
  });
  const written: WrittenTagFile[] = [];
  const paths = tagFilePaths(out, sources);
  const bases = await basesOfConfig(isConfig ? undefined : options.config, [...paths.values()]);
  for (const source of sources) {
    const path = paths.get(source.id) ?? out;
    const tags = bases.get(path) === 1 ? countedFromOne(source.tags) : source.tags;
    written.push(await writeImportedTags(path, source.id, tags));
  }
  const kept = isConfig && sources.length > 0 ? await writeSources(out, described, paths) : [];
  const notes = [...result.notes, ...kept, ...written.flatMap(({ notes: each }) => each)];
  const unused = options.config === undefined || isConfig ? [] : written.filter(({ file: each }) => !bases.has(each));
  for (const { file: each } of unused)
    notes.push(`no source of ${options.config} uses ${each}: add it with tags: { file: ${each} }`);
  const config = isConfig ? out : bases.size === 0 ? undefined : options.config;
  if (options.json !== true) report(file, { findings, notes, written, config: isConfig ? out : undefined }, output);
  const checked = written.length === 0 ? undefined : await checkAndPlan(config, described, paths, options, output);
  const isComplete = findings.length === 0 && written.length > 0;
  if (options.json === true) {
    const document = {
      ok: isComplete && checked?.code === 0,
      file,
      as: options.as,
      config: isConfig ? out : undefined,
    };
    const listed = findings.map((finding) => ({ file, ...finding }));
    output.out(
      JSON.stringify({ ...document, sources: written, findings: listed, notes, ...checked?.documents }, undefined, 2),
    );
  }
  if (checked?.code === EXIT_CONFIG) return EXIT_CONFIG;
  return isComplete ? (checked?.code ?? 0) : 1;
}

function hasUrl({ keys }: ImportedSource): boolean {
  return keys['url'] !== undefined;
}

type Report = {
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
  readonly written: readonly WrittenTagFile[];
  readonly config: string | undefined;
};

function report(file: string, { findings, notes, written, config }: Report, output: Output): void {
  for (const { line, name, found, reason, remedy, imported } of findings) {
    const subject = name === undefined || name === '' ? '' : `${name}: `;
    output.err(`${file}:${line}: ${subject}${imported ? 'imported without ' : ''}'${found}': ${reason}; ${remedy}`);
  }
  for (const note of notes) output.err(`note: ${note}`);
  for (const { file: path, tags, added, changed } of written)
    output.out(`${plural(tags, 'tag')} in ${path}: ${added} new, ${changed} changed`);
  if (config !== undefined) output.out(`${plural(written.length, 'source')} in ${config}`);
  const left = findings.filter(({ imported }) => !imported).length;
  if (findings.length > 0)
    output.err(`${plural(findings.length, 'line')} not understood, ${left} of them not imported at all`);
  if (written.length === 0) output.err(`${file} has no tag that can be imported; nothing is written`);
}

/** Runs `andon check` and `andon plan` on the result: with a configuration that uses it, otherwise with one made for it. */
async function checkAndPlan(
  config: string | undefined,
  sources: readonly ImportedSource[],
  paths: ReadonlyMap<string, string>,
  { json = false }: ImportOptions,
  output: Output,
): Promise<{ readonly code: number; readonly documents: object }> {
  const folder = config === undefined ? await mkdtemp(join(tmpdir(), 'andon-import-')) : undefined;
  try {
    const file = config ?? join(folder ?? '', 'andon.yaml');
    if (folder !== undefined) {
      const blocks = sources.map(({ id, keys }) => {
        const tags = { file: resolve(paths.get(id) ?? '') };
        return [id, { type: 'modbus', ...keys, tags }] as const;
      });
      await writeFile(file, stringify({ agent: { id: 'import' }, sources: Object.fromEntries(blocks) }));
    }
    const documents: unknown[] = [];
    const captured: Output = { out: (text) => documents.push(JSON.parse(text)), err: () => undefined };
    // The configuration that is made here has no watches, and no path that a user could open.
    const shown: Output = {
      out: (text) => output.out(text),
      err: (text) => {
        if (!text.startsWith(file)) output.err(text);
      },
    };
    const target = json ? captured : folder === undefined ? output : shown;
    const check = await checkCommand(file, { json, strict: false }, target);
    // `check` has shown the warnings.
    const planned: Output = { out: (text) => target.out(text), err: () => undefined };
    const plan = check === 0 ? await planCommand(file, { json }, planned) : check;
    return { code: plan, documents: { check: documents[0], plan: documents[1] } };
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** Returns the address base of the source that uses each tag file; without files that no source uses. */
async function basesOfConfig(
  config: string | undefined,
  tagFiles: readonly string[],
): Promise<ReadonlyMap<string, unknown>> {
  if (config === undefined) return new Map();
  const read = await readConfigText(config);
  if ('problem' in read) throw commandFailure('import-unreadable', `${config}: ${read.problem}`);
  const sources = valueAt(new PositionedDocument(read.text).value, ['sources']);
  const all = isPlainObject(sources) ? Object.values(sources).filter(isPlainObject) : [];
  return new Map(
    all.flatMap((source) => {
      const named = valueAt(source, ['tags', 'file']);
      const path = typeof named === 'string' ? resolve(config, '..', named) : undefined;
      const file = tagFiles.find((each) => resolve(each) === path);
      return file === undefined ? [] : [[file, source['addressBase']] as const];
    }),
  );
}

function countedFromOne(tags: ImportedSource['tags']): ImportedSource['tags'] {
  return new Map(
    [...tags].map(([name, tag]) => {
      const { register, address } = tag;
      const isCounted = register !== undefined && typeof address === 'number';
      return [name, isCounted ? { ...tag, address: address + 1 } : tag] as const;
    }),
  );
}

function countedFrom(base: AddressBase): Pick<ImportSettings, 'addressBase' | 'manualNumbers'> {
  return { addressBase: base === '0' ? 0 : 1, manualNumbers: base === '40001' };
}

/** Choices of `--address-base`. Numbers of manuals are certain in the exports of tools. */
function basesOf(as: TagReaderName): readonly AddressBase[] {
  return as === 'csv' ? addressBases : ['0', '1'];
}

function optionOf(setting: OpenSetting['setting'], as: TagReaderName): string {
  return setting === 'byteOrder' ? `--byte-order ${byteOrders.join('|')}` : `--address-base ${basesOf(as).join('|')}`;
}

function refuse(open: readonly OpenSetting[], { json, as }: ImportOptions, output: Output): number {
  const decisions = open.map(({ setting, reason }) => ({ option: optionOf(setting, as), reason }));
  if (json === true) output.out(JSON.stringify({ ok: false, code: 'import-undecided', open: decisions }, undefined, 2));
  else {
    for (const { option, reason } of decisions) output.err(`${option}: ${reason}`);
    output.err(
      'andon: the file leaves settings open and nothing is written; give the options above (import-undecided)',
    );
  }
  return EXIT_USAGE;
}

/** Asks at the terminal. @returns Undefined if the user ends the input. */
async function ask(
  open: readonly OpenSetting[],
  given: ImportSettings,
  as: TagReaderName,
): Promise<ImportSettings | undefined> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const answers = lines[Symbol.asyncIterator]();
  const choose = async <Choice extends string>(reason: string, choices: readonly Choice[]) => {
    for (;;) {
      process.stdout.write(`${reason}\n${choices.join(' or ')}? `);
      const { done, value } = await answers.next();
      if (done === true) return undefined;
      const choice = choices.find((each) => each === value.trim().toUpperCase());
      if (choice !== undefined) return choice;
    }
  };
  const settings: ImportSettings = { ...given };
  for (const { setting, reason } of open) {
    const answer = await choose(reason, setting === 'byteOrder' ? byteOrders : basesOf(as));
    if (answer === undefined) return undefined;
    Object.assign(settings, settingOf(answer));
  }
  lines.close();
  return settings;
}

function settingOf(answer: ByteOrder | AddressBase): ImportSettings {
  const base = addressBases.find((each) => each === answer);
  if (base !== undefined) return countedFrom(base);
  return { byteOrder: byteOrders.find((each) => each === answer) };
}

/** Reads a file as a spreadsheet program or another tool saved it. @throws {OperatingError} 'import-unreadable' (reject). */
async function textOf(file: string): Promise<string> {
  const unreadable = (problem: string, cause?: unknown) =>
    commandFailure('import-unreadable', `${file}: ${problem}`, { cause });
  const bytes = await readFile(file).catch((error: unknown) => {
    throw unreadable(errorMessage(error), error);
  });
  if (bytes.length > FILE_BYTES_MAX) throw unreadable(`is larger than ${FILE_BYTES_MAX / 1e6} MB`);
  const problem = spreadsheetProblem(bytes);
  if (problem !== undefined) throw unreadable(problem);
  return new TextDecoder(encodingOf(bytes.subarray(0, 65_536))).decode(bytes);
}

function columns(text: string): ReadonlyMap<string, string> {
  const pairs = text.split(',').map((pair) => /^\s*([A-Za-z]+)\s*=\s*(.+?)\s*$/.exec(pair));
  const named = pairs.map((pair) => [pair?.[1] ?? '', pair?.[2] ?? ''] as const);
  const keys: readonly string[] = listColumns;
  const wrong = named.find(([key]) => !keys.includes(key));
  if (wrong === undefined) return new Map(named);
  throw new InvalidArgumentError(`Expected key=header,… with the keys ${listColumns.join(', ')}.`);
}

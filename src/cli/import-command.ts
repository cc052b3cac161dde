import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import { ConfigDocument, isPlainObject, valueAt } from '../config/config-document.ts';
import { readConfigText } from '../config/config-text.ts';
import { encodingOf } from '../csv/csv-text.ts';
import { OperatingError } from '../platform/errors.ts';
import { type ByteOrder, byteOrders } from '../sources/modbus/frame/register-decode.ts';
import type { Finding, ImportedSource, ImportSettings, OpenSetting, TagImport } from '../tag-import/imported-tags.ts';
import { type TagReaderName, tagReaders } from '../tag-import/readers.ts';
import { jsonOption, runs } from './output/command.ts';
import type { Output } from './output/output.ts';
import { planCommand } from './plan-command.ts';
import { checkCommand, plural } from './setup/check-command.ts';
import { tagFilePaths, writeImportedTags, writeSources, type WrittenTagFile } from './setup/import-files.ts';

const EXIT_USAGE = 64;
const EXIT_CONFIG = 78;
/** Device of the configuration that is only checked: an address for documentation (RFC 5737). */
const NO_DEVICE = 'tcp://192.0.2.1:502';

export type ImportOptions = {
  readonly as: TagReaderName;
  readonly out?: string;
  readonly config?: string;
  readonly url?: string;
  readonly addressBase?: '0' | '1';
  readonly byteOrder?: ByteOrder;
  readonly columns?: ReadonlyMap<string, string>;
  readonly json?: boolean;
};

/** Adds `andon import`. */
export function addImportCommand(program: Command): void {
  program
    .command('import')
    .argument('<file>', 'export of another tool')
    .description('register maps and tag exports of other tools as tag files; lists every line that is not understood')
    .addOption(new Option('--as <kind>', 'what the file is').choices(Object.keys(tagReaders)).makeOptionMandatory())
    .option('--out <file>', 'tag file (.csv) or configuration (.yaml) to write; one that exists is merged')
    .option('-c, --config <file>', 'configuration that uses the tag file, or gets the sources of the file')
    .option('--url <url>', 'device, if the file does not name it: tcp://10.0.0.7:502')
    .addOption(new Option('--address-base <n>', 'number of the first register in the file').choices(['0', '1']))
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
    addressBase: options.addressBase === undefined ? undefined : options.addressBase === '0' ? 0 : 1,
    byteOrder: options.byteOrder,
    columns: options.columns,
  };
  let result = read(given);
  if (result.open.length > 0) {
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY && options.json !== true;
    if (!isTerminal) return refuse(result.open, options, output);
    result = read(await ask(result.open, given));
  }
  return finish(file, result, options, output);
}

async function finish(file: string, result: TagImport, options: ImportOptions, output: Output): Promise<number> {
  const { sources, findings } = result;
  const isConfig = options.out === undefined ? sources.some(hasUrl) : /\.ya?ml$/i.test(options.out);
  const stem = basename(file, extname(file));
  const out = options.out ?? (isConfig ? (options.config ?? `${stem}.andon.yaml`) : `${stem}.tags.csv`);
  const described = sources.map((source) =>
    hasUrl(source) ? source : { ...source, keys: { url: options.url ?? NO_DEVICE, ...source.keys } },
  );
  const used = await sourceOfConfig(options.config, out);
  const written: WrittenTagFile[] = [];
  const paths = tagFilePaths(out, sources);
  for (const source of sources) {
    const tags = used?.addressBase === 1 ? countedFromOne(source.tags) : source.tags;
    written.push(await writeImportedTags(paths.get(source.id) ?? out, source.id, tags));
  }
  const kept = isConfig && sources.length > 0 ? await writeSources(out, described, paths) : [];
  const notes = [...result.notes, ...kept, ...written.flatMap(({ notes: each }) => each)];
  if (options.config !== undefined && used === undefined && !isConfig)
    notes.push(`no source of ${options.config} uses ${out}: add it with tags: { file: ${out} }`);
  const config = isConfig ? out : used === undefined ? undefined : options.config;
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

/** The source of a configuration that uses a tag file. */
async function sourceOfConfig(
  config: string | undefined,
  tagFile: string,
): Promise<{ readonly addressBase: unknown } | undefined> {
  if (config === undefined) return undefined;
  const read = await readConfigText(config);
  if ('problem' in read) throw new OperatingError('import-unreadable', 'reject', `${config}: ${read.problem}`);
  const sources = valueAt(new ConfigDocument(read.text).value, ['sources']);
  const all = isPlainObject(sources) ? Object.values(sources).filter(isPlainObject) : [];
  const used = all.find((source) => {
    const named = valueAt(source, ['tags', 'file']);
    return typeof named === 'string' && resolve(resolve(config, '..'), named) === resolve(tagFile);
  });
  return used === undefined ? undefined : { addressBase: used['addressBase'] };
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

const optionOf = { addressBase: '--address-base 0|1', byteOrder: '--byte-order ABCD|CDAB|BADC|DCBA' } as const;

function refuse(open: readonly OpenSetting[], { json }: ImportOptions, output: Output): number {
  const decisions = open.map(({ setting, reason }) => ({ option: optionOf[setting], reason }));
  if (json === true) output.out(JSON.stringify({ ok: false, code: 'import-undecided', open: decisions }, undefined, 2));
  else {
    for (const { option, reason } of decisions) output.err(`${option}: ${reason}`);
    output.err(
      'andon: the file leaves settings open and nothing is written; give the options above (import-undecided)',
    );
  }
  return EXIT_USAGE;
}

async function ask(open: readonly OpenSetting[], given: ImportSettings): Promise<ImportSettings> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const choose = async <Choice extends string>(reason: string, choices: readonly Choice[]): Promise<Choice> => {
    for (;;) {
      const answer = (await lines.question(`${reason}\n${choices.join(' or ')}? `)).trim().toUpperCase();
      const choice = choices.find((each) => each === answer);
      if (choice !== undefined) return choice;
    }
  };
  try {
    let settings = given;
    for (const { setting, reason } of open)
      settings =
        setting === 'addressBase'
          ? { ...settings, addressBase: (await choose(reason, ['0', '1'])) === '0' ? 0 : 1 }
          : { ...settings, byteOrder: await choose(reason, byteOrders) };
    return settings;
  } finally {
    lines.close();
  }
}

/** Reads a file as a spreadsheet program or another tool saved it. */
async function textOf(file: string): Promise<string> {
  const read = await readConfigText(file, (bytes) => ({ text: new TextDecoder(encodingOf(bytes)).decode(bytes) }));
  if ('problem' in read) throw new OperatingError('import-unreadable', 'reject', `${file}: ${read.problem}`);
  return read.text;
}

function columns(text: string): ReadonlyMap<string, string> {
  const pairs = text.split(',').map((pair) => /^\s*([A-Za-z]+)\s*=\s*(.+?)\s*$/.exec(pair));
  if (pairs.some((pair) => pair === null))
    throw new InvalidArgumentError('expected key=header, such as name=Tag,address=Adresse');
  return new Map(pairs.map((pair) => [pair?.[1] ?? '', pair?.[2] ?? '']));
}

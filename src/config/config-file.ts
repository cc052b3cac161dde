import { dirname, resolve } from 'node:path';
import type * as z from 'zod';
import { ConfigError, type ConfigProblem } from '../platform/errors.ts';
import { checkConfig } from './config-checks.ts';
import {
  PositionedDocument,
  type ConfigPath,
  type DocumentProblem,
  isPlainObject,
  type PositionedData,
} from '../platform/positioned-document.ts';
import { type Finding, warning } from './config-finding.ts';
import { configJsonSchema } from './config-json-schema.ts';
import { lookUpModels } from './config-model-checks.ts';
import { ConfigMessages, noDefaultMessages, PROBLEMS_MAX } from './config-messages.ts';
import { ConfigOutputsFile } from './files/config-outputs-file.ts';
import { ConfigTagFiles } from './config-tag-files.ts';
import { protectionProblem } from './files/protected-file.ts';
import { resolvePaths } from './config-paths.ts';
import { type AgentConfig, configSchema } from './config-schema.ts';
import { readConfigText } from './files/config-text.ts';
import { readTrust } from './config-trust.ts';

/** A configuration that passed every check, with absolute paths. */
export type LoadedConfig = {
  readonly config: AgentConfig;
  /** Path as given by the caller, for messages. */
  readonly file: string;
  /** Absolute path of the folder that relative paths in the file start from. */
  readonly directory: string;
  /** Text of the file. */
  readonly text: string;
  /** The file and its tag files as plain data, before defaults and units. */
  readonly data: unknown;
  /** Absolute path of the file with the outputs: this one, or the one that `outputs.file` names. */
  readonly outputsFile: string;
  /** Findings that do not prevent a start but are probably mistakes. */
  readonly warnings: readonly ConfigProblem[];
};

export type LoadOptions = {
  /**
   * False for commands that change models: then they are not read. 'with-graphs' also reads each `model.onnx`.
   */
  readonly checkModels: boolean | 'with-graphs';
};

/**
 * Reads a configuration and checks all of it.
 * @throws {ConfigError} with every problem at once, in the order of the file.
 */
export async function loadConfig(file: string, options: LoadOptions = { checkModels: true }): Promise<LoadedConfig> {
  const read = await readConfigText(file);
  if ('problem' in read) throw new ConfigError([{ file, line: 1, column: 1, path: '', message: read.problem }]);
  const directory = dirname(resolve(file));
  const checked = await checkText(read.text, file, options);
  const inFile = (problems: readonly DocumentProblem[]) => fileProblems(file, problems);
  if (checked.config === undefined) throw new ConfigError(inFile(checked.problems));
  return {
    config: checked.config,
    file,
    directory,
    text: read.text,
    data: checked.data,
    outputsFile: checked.outputsFile,
    warnings: inFile(checked.warnings),
  };
}

/** Checks a text as the content of a file. Returns all problems, as `loadConfig` would report them. */
export async function checkConfigText(
  text: string,
  file: string,
): Promise<{ readonly problems: readonly ConfigProblem[]; readonly warnings: readonly ConfigProblem[] }> {
  const { problems, warnings } = await checkText(text, file, { checkModels: 'with-graphs' });
  return { problems: fileProblems(file, problems), warnings: fileProblems(file, warnings) };
}

type CheckedText = {
  readonly config: AgentConfig | undefined;
  readonly data: unknown;
  readonly outputsFile: string;
  readonly problems: readonly DocumentProblem[];
  readonly warnings: readonly DocumentProblem[];
};

async function checkText(text: string, file: string, options: LoadOptions): Promise<CheckedText> {
  const document = new PositionedDocument(text);
  const failed = (problems: readonly DocumentProblem[]) => ({
    config: undefined,
    data: undefined,
    outputsFile: resolve(file),
    problems,
    warnings: [],
  });
  if (!document.readable) return failed(document.problems);
  if (!isPlainObject(document.value)) return failed([...document.problems, notAMap(document.value)]);
  const tagFiles = await ConfigTagFiles.read(document, dirname(file));
  const content = await ConfigOutputsFile.read(tagFiles, dirname(file));
  const unread = [...tagFiles.problems, ...content.problems];
  // A tag that cannot be read would be missing in every watch that names it.
  if (unread.length > 0) return failed([...document.problems, ...unread]);
  const parsed = configSchema.safeParse(content.value, { error: noDefaultMessages });
  const wrong = parsed.success ? [] : new ConfigMessages(content, configJsonSchema()).problems(parsed.error.issues);
  const valid = parsed.success ? parsed.data : validParts(content.value, parsed.error.issues);
  const directory = dirname(resolve(file));
  const paths = resolvePaths(valid, directory);
  const { trust, findings: trustFindings } = await readTrust(paths.models?.trust);
  const resolved = withTrust(paths, trust);
  const lookup = await lookUpModels(options.checkModels === false ? {} : resolved, {
    readGraphs: options.checkModels === 'with-graphs',
  });
  const outputsFile = resolve(content.file ?? file);
  const held = protectionProblem(outputsFile);
  const findings = [...trustFindings, ...heldFindings(resolved, held), ...checkConfig(resolved, content, lookup)];
  const found = (severity: Finding['severity']) =>
    findings.filter((finding) => finding.severity === severity).map((finding) => placed(content, finding));
  const problems = [...document.problems, ...wrong, ...found('error')];
  if (!parsed.success || problems.length > 0) return failed(problems);
  const config = withHeldOutputs(withTrust(resolvePaths(parsed.data, directory), trust), held);
  return { config, data: content.value, outputsFile, problems: [], warnings: found('warning') };
}

function withTrust<C extends Partial<AgentConfig>>(config: C, trust: AgentConfig['models']['trust']): C {
  return config.models === undefined ? config : { ...config, models: { ...config.models, trust } };
}

/** Warns of outputs that are not written, because more than an administrator could change them. */
function heldFindings({ outputs = {} }: Partial<AgentConfig>, problem: string | undefined): readonly Finding[] {
  if (problem === undefined || Object.values(outputs).every(({ dryRun }) => dryRun)) return [];
  return [warning(['outputs'], `outputs are not written: ${problem}`, 'key')];
}

function withHeldOutputs(config: AgentConfig, problem: string | undefined): AgentConfig {
  if (problem === undefined) return config;
  const outputs = Object.entries(config.outputs).map(([id, output]) => [
    id,
    output.dryRun ? output : { ...output, heldBecause: problem },
  ]);
  return { ...config, outputs: Object.fromEntries(outputs) as AgentConfig['outputs'] };
}

function placed(document: PositionedData, { path, at, message }: Finding): DocumentProblem {
  return { ...document.position(path, at), path, message };
}

/** Depth of the part to remove in maps whose entries are independent: an invalid entry does not affect the others. */
const ENTRY_DEPTH: Readonly<Record<string, number>> = {
  sources: 2,
  derived: 2,
  watches: 2,
  limits: 2,
  uplinks: 2,
  outputs: 2,
  notify: 2,
};
const ROUNDS_MAX = 5;

/**
 * Returns the configuration without its invalid parts, so that the checks across sections report the other problems in
 * the same run. An invalid tag removes only this tag, an invalid source only this source.
 */
function validParts(file: unknown, issues: readonly z.core.$ZodIssue[]): Partial<AgentConfig> {
  const partial = configSchema.partial();
  const rest: unknown = structuredClone(file);
  let wrong = issues;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    // From the second round on, an entry that is invalid without the removed part is removed as a whole.
    for (const { path, code } of wrong)
      remove(rest, partToRemove(path.map(String), round), code === 'unrecognized_keys');
    const parsed = partial.safeParse(rest);
    if (parsed.success) return parsed.data;
    wrong = parsed.error.issues;
  }
  return {};
}

function partToRemove(path: readonly string[], round: number): readonly string[] {
  const [section = '', , below] = path;
  const depth = ENTRY_DEPTH[section] ?? 1;
  const isTag = section === 'sources' && below === 'tags' && path.length > 3 && round === 0;
  return path.slice(0, isTag ? 4 : depth);
}

function remove(root: unknown, path: readonly string[], isUnknownKeys: boolean): void {
  let here = root;
  for (const step of path.slice(0, -1)) here = isPlainObject(here) ? here[step] : undefined;
  const last = path.at(-1);
  if (last !== undefined && typeof here === 'object' && here !== null) Reflect.deleteProperty(here, last);
  else if (path.length === 0 && isUnknownKeys && isPlainObject(root)) removeUnknownSections(root);
}

function removeUnknownSections(root: Readonly<Record<string, unknown>>): void {
  for (const key of Object.keys(root)) if (!Object.hasOwn(configSchema.shape, key)) Reflect.deleteProperty(root, key);
}

function notAMap(value: unknown): DocumentProblem {
  const found = value === null ? 'the file is empty' : "the file does not consist of 'key: value' lines";
  return { line: 1, column: 1, path: [], message: `${found}: expected sections such as agent:, sources: and watches:` };
}

function order(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function fileProblems(file: string, problems: readonly DocumentProblem[]): readonly ConfigProblem[] {
  const all = problems
    .map(({ path, ...problem }) => ({ ...problem, file: problem.file ?? file, path: pathText(path) }))
    .toSorted((a, b) => order(a.file, b.file) || a.line - b.line || a.column - b.column);
  const shown = all.slice(0, PROBLEMS_MAX);
  const last = shown.at(-1);
  if (last === undefined || all.length === shown.length) return shown;
  return [
    ...shown,
    { ...last, path: '', message: `more than ${PROBLEMS_MAX} problems: the problems after this line are not shown` },
  ];
}

/** Returns a path as text: `sources.plc-1.tags.pump-1.pressure.range[0]`. */
function pathText(path: ConfigPath): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '');
}

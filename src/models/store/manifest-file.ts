import { type Document, isMap, LineCounter, parseDocument, visit } from 'yaml';
import * as z from 'zod';
import {
  type AnyManifest,
  graphManifestSchema,
  type ModelManifest,
  modelManifestSchema,
} from '../../contracts/model-manifest.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { nearest } from '../../domain/nearest-word.ts';
import { type ConfigProblem, errorMessage } from '../../platform/errors.ts';

/** Problems reported for one file. To find the lines of thousands would take minutes. */
const PROBLEMS_MAX = 100;

export type ManifestReading =
  | { readonly manifest: AnyManifest; readonly problems: readonly [] }
  | { readonly manifest: undefined; readonly problems: readonly ConfigProblem[] };

/**
 * Reads the text of a `model.yaml` and reports up to 100 problems with their lines. It blocks the thread, some
 * milliseconds for 10 kB; `readManifestAside` does not.
 *
 * @param expected Name and version of the folders of the file, which often differ after a copy by hand. Undefined if the
 *   file is not in such folders.
 */
export function readManifest(
  file: string,
  text: string,
  expected: { readonly name: string; readonly version: number } | undefined,
): ManifestReading {
  const lines = new LineCounter();
  // With `uniqueKeys` the library compares every pair of keys, which takes minutes for 100,000 keys.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (document.errors.length > 0)
    return failed(document.errors.map(({ message, pos }) => ({ ...at(pos[0]), path: '', message })));
  const problemAt = (path: readonly PropertyKey[], message: string): ConfigProblem => ({
    ...at(offsetOf(document, path)),
    path: path.map(String).join('.'),
    message,
  });
  const repeated = repeatedKeyOffset(document);
  if (repeated !== undefined) return failed([{ ...at(repeated), path: '', message: 'Map keys must be unique' }]);
  const values = plainValues(document);
  if (values instanceof Error) return failed([{ ...at(0), path: '', message: values.message }]);
  const parsed = parsedManifest(values);
  if (parsed === undefined) return failed([{ ...at(0), path: '', message: 'has too many invalid values to list' }]);
  if (!parsed.success) return failed(issueProblems(parsed.error.issues, problemAt));
  const manifest = parsed.data;
  const problems = [
    ...(['name', 'version'] as const).flatMap((key) =>
      expected === undefined || manifest[key] === expected[key]
        ? []
        : [problemAt([key], `is ${shown(manifest[key])}, but the folder is ${shown(expected[key])}`)],
    ),
    ...(judgesWindows(manifest) ? goldenProblems(manifest, problemAt) : []),
  ];
  return problems.length === 0 ? { manifest, problems: [] } : failed(problems);
}

function shown(value: string | number): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}

/** Returns undefined if zod finds too many issues: it passes them as arguments of one call. */
function parsedManifest(values: unknown) {
  try {
    return (isOfGraph(values) ? graphManifestSchema : modelManifestSchema).safeParse(values);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Returns whether the manifest is of a graph that judges no windows. One that lacks only its window is not. */
function isOfGraph(values: unknown): boolean {
  if (typeof values !== 'object' || values === null) return false;
  if ('task' in values && values.task === 'other') return true;
  const task = 'task' in values ? values.task : undefined;
  return task !== 'anomaly' && !('tags' in values || 'window' in values || 'threshold' in values);
}

function goldenProblems(
  { golden, input, window, tags }: ModelManifest,
  problemAt: (path: readonly PropertyKey[], message: string) => ConfigProblem,
): readonly ConfigProblem[] {
  const wanted = window.steps * tags.length;
  return golden.flatMap(({ inputs }, index) => {
    const found = inputs[input]?.length;
    if (found === wanted) return [];
    const other = found === undefined ? Object.keys(inputs)[0] : undefined;
    if (other !== undefined)
      return [problemAt(['golden', index, 'inputs'], `the golden vector has '${other}', but input is '${input}'`)];
    const counted = `${wanted} (${window.steps} steps × ${tags.length} tags)`;
    return [problemAt(['golden', index, 'inputs'], `'${input}' has ${found ?? 'no'} values, expected ${counted}`)];
  });
}

/** Returns the offset of the first repeated key; undefined if there is none. */
function repeatedKeyOffset(document: Document.Parsed): number | undefined {
  let offset: number | undefined;
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<string>();
      for (const { key } of items) {
        const name = String(key);
        if (seen.has(name)) {
          offset = (key as { range?: readonly number[] } | null)?.range?.[0] ?? 0;
          return visit.BREAK;
        }
        seen.add(name);
      }
      return undefined;
    },
  });
  return offset;
}

/** Limits aliases: nested aliases grow exponentially when expanded, and no manifest needs more than 10. */
function plainValues(document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: 10 });
  } catch (error) {
    return new Error(errorMessage(error), { cause: error });
  }
}

function failed(problems: readonly ConfigProblem[]): ManifestReading {
  return { manifest: undefined, problems: problems.slice(0, PROBLEMS_MAX) };
}

/** Returns one problem for each unknown key, so that each has its own line. */
function issueProblems(
  issues: readonly z.core.$ZodIssue[],
  problemAt: (path: readonly PropertyKey[], message: string) => ConfigProblem,
): readonly ConfigProblem[] {
  return issues.slice(0, PROBLEMS_MAX).flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys') return [problemAt(issue.path, issue.message)];
    const keys = issue.keys.slice(0, PROBLEMS_MAX);
    const known = manifestKeys();
    return keys.map((key) => problemAt([...issue.path, key], `is not a key of model.yaml${suggestion(key, known)}`));
  });
}

function suggestion(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  return meant === undefined ? '' : `: did you mean '${meant}'${meant === key ? ' at another place' : ''}?`;
}

/** Returns the keys of both kinds of manifest, at any depth. */
function manifestKeys(): readonly string[] {
  const keys = new Set<string>();
  const collect = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [name, value] of Object.entries(node)) {
      if (name === 'properties') for (const key of Object.keys(value as object)) keys.add(key);
      collect(value);
    }
  };
  for (const schema of [modelManifestSchema, graphManifestSchema])
    collect(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }));
  return [...keys];
}

/** Returns the offset of a key, or of the longest existing part of its path. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => String(key) === String(last));
      const range = (pair?.key as { range?: readonly number[] } | undefined)?.range;
      if (range?.[0] !== undefined) return range[0];
    }
    const node = document.getIn(path.slice(0, length), true) as { range?: readonly number[] } | undefined;
    if (node?.range?.[0] !== undefined) return node.range[0];
  }
  return 0;
}

import * as z from 'zod';
import {
  type AnyManifest,
  graphManifestSchema,
  type ModelManifest,
  modelManifestSchema,
} from '../../contracts/model-manifest.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { nearest } from '../../domain/nearest-word.ts';
import type { ConfigProblem } from '../../platform/errors.ts';
import { PositionedDocument } from '../../platform/positioned-document.ts';

/** Problems reported for one file. To find the lines of thousands would take minutes. */
const PROBLEMS_MAX = 100;
/** Values that aliases may add: nested aliases grow exponentially when expanded. */
const ALIASED_VALUES_MAX = 10_000;

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
  const document = new PositionedDocument(text, text.length + ALIASED_VALUES_MAX);
  const problemAt = (path: readonly PropertyKey[], message: string): ConfigProblem => {
    const keys = path.map((key) => (typeof key === 'symbol' ? String(key) : key));
    return { ...document.position(keys, 'key'), file, path: keys.join('.'), message };
  };
  if (document.problems.length > 0)
    return failed(document.problems.map((problem) => ({ ...problem, file, path: problem.path.join('.') })));
  const parsed = parsedManifest(document.value);
  if (parsed === undefined) return failed([problemAt([], 'has too many invalid values to list')]);
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

import { isMap, LineCounter, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import type * as z from 'zod';
import type { AnyManifest, ModelManifest } from '../contracts/model-manifest.ts';
import { graphManifestSchema, judgesWindows, modelManifestSchema } from '../contracts/model-manifest.ts';
import type { ConfigProblem } from '../platform/errors.ts';
import { errorMessage } from '../platform/errors.ts';

export type ManifestReading =
  | { readonly manifest: AnyManifest; readonly problems: readonly [] }
  | { readonly manifest: undefined; readonly problems: readonly ConfigProblem[] };

/**
 * Reads the text of a `model.yaml`, with every problem at its line.
 *
 * @param expected Name and version of the folders it lies in; a model that was copied by hand often disagrees.
 *   Undefined where it lies in no such folders yet.
 */
export function readManifest(
  file: string,
  text: string,
  expected: { readonly name: string; readonly version: number } | undefined,
): ManifestReading {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
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
  const values = plainValues(document);
  if (values instanceof Error) return failed([{ ...at(0), path: '', message: values.message }]);
  const parsed = (isOfGraph(values) ? graphManifestSchema : modelManifestSchema).safeParse(values);
  if (!parsed.success) return failed(parsed.error.issues.flatMap((issue) => issueProblems(issue, problemAt)));
  const manifest = parsed.data;
  const problems = [
    ...(expected === undefined || manifest.name === expected.name
      ? []
      : [problemAt(['name'], `is '${manifest.name}', but the folder is '${expected.name}'`)]),
    ...(expected === undefined || manifest.version === expected.version
      ? []
      : [problemAt(['version'], `is ${manifest.version}, but the folder is ${expected.version}`)]),
    ...(judgesWindows(manifest) ? goldenProblems(manifest, problemAt) : []),
  ];
  return problems.length === 0 ? { manifest, problems: [] } : failed(problems);
}

/** Whether it is the manifest of a graph that judges no windows; one that merely forgot its window is told so. */
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
    const counted = `${wanted} (${window.steps} steps × ${tags.length} tags)`;
    return [problemAt(['golden', index, 'inputs'], `'${input}' has ${found ?? 'no'} values, expected ${counted}`)];
  });
}

/** Aliases that refer to aliases grow without end when expanded (an alias bomb); no manifest needs more than ten. */
function plainValues(document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: 10 });
  } catch (error) {
    return new Error(errorMessage(error), { cause: error });
  }
}

function failed(problems: readonly ConfigProblem[]): ManifestReading {
  return { manifest: undefined, problems };
}

/** One problem for each unknown key, so that each has its own line. */
function issueProblems(
  issue: z.core.$ZodIssue,
  problemAt: (path: readonly PropertyKey[], message: string) => ConfigProblem,
): readonly ConfigProblem[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => problemAt([...issue.path, key], 'is not a key that model.yaml has'));
  return [problemAt(issue.path, issue.message)];
}

/** Offset of the key, or of the nearest part of the path that is there. */
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

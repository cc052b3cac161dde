import { isDeepStrictEqual } from 'node:util';
import {
  type ConfigPath,
  type DocumentProblem,
  isPlainObject,
  type PositionedDocument,
  valueAt,
} from '../platform/positioned-document.ts';

/**
 * Keys that only the file on the box changes: what moves machines, who may do what, which models are trusted, and the trace of
 * all that. `outbox.path` also sets the folder of the audit log.
 */
const protectedKeys: readonly ConfigPath[] = [
  ['outputs'],
  ['models', 'trust'],
  ['http'],
  ['serving'],
  ['audit'],
  ['fleet'],
  ['outbox', 'path'],
];

const LOCALLY = 'Edit the file on the box, then reload the agent (systemctl reload andon)';

/**
 * Returns what a text changes although only a local edit may.
 *
 * A secret goes to the server of its section. So a new reference to a secret, and a new server for one that the file already
 * names, are local edits, too: otherwise each secret that the agent can read could be sent anywhere.
 *
 * @param former Content of the file as plain data.
 */
export function protectedChanges(former: unknown, next: PositionedDocument): readonly DocumentProblem[] {
  const keys = [...protectedKeys, ...outputDevices(former)].flatMap((path) => changedPaths(former, next.value, path));
  const known = new Set(secretUses(former, []).map(({ use }) => use));
  const secrets = secretUses(next.value, []).filter(
    ({ path, use }) => !known.has(use) && !keys.some((key) => key.every((step, depth) => path[depth] === step)),
  );
  return [
    ...keys.map((path) => ({
      ...next.position(path, 'key'),
      path,
      message: `only a local edit may change this key. ${LOCALLY}`,
    })),
    ...secrets.map(({ path }) => ({
      ...next.position(path, 'value'),
      path,
      message: `only a local edit may name a file or secret, or another server for it. ${LOCALLY}`,
    })),
  ];
}

/** Returns a path, or the paths below it, whose values differ. */
function changedPaths(former: unknown, next: unknown, path: ConfigPath): readonly ConfigPath[] {
  const [old, present] = [valueAt(former, path), valueAt(next, path)];
  if (isDeepStrictEqual(old, present)) return [];
  if (path.length > 1 || !isPlainObject(old) || !isPlainObject(present)) return [path];
  const keys = new Set([...Object.keys(old), ...Object.keys(present)]);
  return [...keys].filter((key) => !isDeepStrictEqual(old[key], present[key])).map((key) => [...path, key]);
}

/** Returns the keys of sources that decide which device an output writes to. */
function outputDevices(former: unknown): readonly ConfigPath[] {
  const [outputs, sources] = [valueAt(former, ['outputs']), valueAt(former, ['sources'])];
  if (!isPlainObject(outputs)) return [];
  // The content of a file of outputs is not known here, so that each source may have one.
  const isOutside = typeof outputs['file'] === 'string' && isPlainObject(sources);
  const named = isOutside
    ? Object.keys(sources)
    : Object.values(outputs).flatMap((output) => (isPlainObject(output) ? [output['source']] : []));
  const ids = new Set(named.filter((id) => typeof id === 'string'));
  return [...ids].flatMap((id) => ['type', 'url', 'unitId'].map((key) => ['sources', id, key]));
}

type SecretUse = { readonly path: ConfigPath; readonly use: string };

/** Returns every `{ file: … }` and `{ env: … }`, with the servers of its section. */
function secretUses(value: unknown, path: ConfigPath, servers: readonly unknown[] = []): readonly SecretUse[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => secretUses(item, [...path, index], servers));
  if (!isPlainObject(value)) return [];
  const { file, env, url } = value;
  const below = url === undefined ? servers : [...servers, url];
  const own = [file, env].some((each) => typeof each === 'string')
    ? [{ path, use: JSON.stringify([file, env, below]) }]
    : [];
  return [...own, ...Object.entries(value).flatMap(([key, child]) => secretUses(child, [...path, key], below))];
}

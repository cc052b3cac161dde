import { readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, extname, isAbsolute, relative, resolve } from 'node:path';
import { isMap, isScalar, parseDocument, stringify } from 'yaml';
import { tagFileText } from '../../config/config-tag-files.ts';
import { encodingOf } from '../../csv/csv-text.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import type { ImportedSource } from '../../tag-import/imported-tags.ts';
import { mergeTagFile } from '../../tag-import/tag-file-merge.ts';
import { writeTagFile, writing } from '../output/written-file.ts';

export type WrittenTagFile = {
  readonly source: string;
  readonly file: string;
  readonly tags: number;
  readonly added: number;
  readonly changed: number;
  readonly notes: readonly string[];
};

/** Returns the path of the tag file of each source: a source reads one unit. */
export function tagFilePaths(out: string, sources: readonly ImportedSource[]): ReadonlyMap<string, string> {
  const suffix = extname(out);
  const stem = out.slice(0, out.length - suffix.length);
  const isOne = sources.length === 1 && suffix === '.csv';
  return new Map(sources.map(({ id }) => [id, isOne ? out : `${stem}-${id}.csv`]));
}

/**
 * Writes the tags of a source, or merges them into the file that exists. `FILE.imported` keeps what this import wrote,
 * by which the next one recognises hand edits.
 */
export async function writeImportedTags(
  file: string,
  source: string,
  tags: ReadonlyMap<string, object>,
): Promise<WrittenTagFile> {
  const written = tagFileText(Object.fromEntries(tags));
  const kept = `${file}.imported`;
  const [present, last] = [await textOf(file), await textOf(kept)];
  const merged = present === undefined ? undefined : mergeTagFile(present, last, tags);
  if (merged === undefined) await writeTagFile(file, written);
  else if (merged.added + merged.changed > 0) await writeTagFile(file, merged.text);
  if (last !== written) await writeFile(kept, written);
  const { added = tags.size, changed = 0, notes = [] } = merged ?? {};
  return { source, file, tags: tags.size, added, changed, notes };
}

/**
 * Writes the sources into a configuration. In a file that exists, sources are added and the rest stays, with its
 * comments; a source that it has stays as it is.
 *
 * @returns Facts about sources that stay.
 */
export async function writeSources(
  file: string,
  sources: readonly ImportedSource[],
  tagFiles: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const blocks = sources.map(({ id, keys }) => {
    const tags = { file: shownPath(file, tagFiles.get(id) ?? '') };
    return [id, { type: 'modbus', ...keys, tags }] as const;
  });
  const present = await textOf(file);
  const head = '# Check it with: andon check FILE, with the devices: andon check --live FILE\n';
  if (present === undefined) {
    const text = stringify({ agent: { id: hostname() }, sources: Object.fromEntries(blocks) });
    await writing(file, () => writeFile(file, head + text));
    return [];
  }
  const document = parseDocument(present);
  if (document.errors.length > 0 || !isMap(document.contents))
    throw new OperatingError(
      'file-not-merged',
      'reject',
      `${file} is not a configuration: correct it or name another --out`,
    );
  const known = document.get('sources');
  const ids = new Set(isMap(known) ? known.items.map(({ key }) => (isScalar(key) ? String(key.value) : '')) : []);
  if (!document.has('agent')) document.set('agent', document.createNode({ id: hostname() }));
  for (const [id, block] of blocks) if (!ids.has(id)) document.setIn(['sources', id], document.createNode(block));
  const text = document.toString({ lineWidth: 0 });
  if (blocks.some(([id]) => !ids.has(id))) await writing(file, () => writeFile(file, text));
  return blocks.filter(([id]) => ids.has(id)).map(([id]) => `source ${id} of ${file} stays as it is`);
}

/** Path of a file as a configuration names it: relative to its own folder if it is below. */
export function shownPath(config: string, file: string): string {
  const shown = relative(dirname(resolve(config)), resolve(file));
  return shown.startsWith('..') || isAbsolute(shown) ? resolve(file) : shown;
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    const bytes = await readFile(file);
    return new TextDecoder(encodingOf(bytes)).decode(bytes);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new OperatingError('file-not-merged', 'reject', `${file}: ${errorMessage(error)}`, { cause: error });
  }
}

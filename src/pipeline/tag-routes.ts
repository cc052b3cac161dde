import type { TagNumber } from '../domain/sample/tag.ts';
import { invariant } from '../platform/errors.ts';
import type { WatchConfig } from './watch-config.ts';

/**
 * Routes from tags to window columns, as flat arrays. The routes of tag t have the indexes `first[t]` to
 * `first[t + 1] - 1`. Route r leads to column `columns[r]` of watch `watches[r]`.
 */
export type TagRoutes = { readonly first: Int32Array; readonly watches: Int32Array; readonly columns: Int32Array };

/** @param watches The tag numbers of each watch, in the order of its columns. */
export function tagRoutes(tagCount: number, watches: readonly (readonly TagNumber[])[]): TagRoutes {
  const routes = watches
    .flatMap((numbers, watch) => numbers.map((tag, column) => ({ tag, watch, column })))
    .toSorted((a, b) => a.tag - b.tag || a.watch - b.watch);
  const first = new Int32Array(tagCount + 1);
  for (const { tag } of routes) first[tag + 1] = (first[tag + 1] ?? 0) + 1;
  for (let tag = 0; tag < tagCount; tag += 1) first[tag + 1] = (first[tag + 1] ?? 0) + (first[tag] ?? 0);
  return {
    first,
    watches: Int32Array.from(routes, ({ watch }) => watch),
    columns: Int32Array.from(routes, ({ column }) => column),
  };
}

/**
 * Returns the numbers of a watch's tags.
 * @throws {InvariantError} if a tag is not in the table. The configuration check reports it before.
 */
export function numbersOf(
  id: string,
  config: WatchConfig,
  numbers: ReadonlyMap<string, TagNumber>,
): readonly TagNumber[] {
  const suppressing = config.alarm?.suppressWhen?.tag;
  invariant(
    suppressing === undefined || numbers.has(suppressing),
    `watch ${id} names the unknown tag '${suppressing}'`,
  );
  return config.tags.map((name) => {
    const number = numbers.get(name);
    invariant(number !== undefined, `watch ${id} binds the unknown tag '${name}'`);
    return number;
  });
}

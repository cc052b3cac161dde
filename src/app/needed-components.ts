import { formatModelReference } from '../domain/model/model-reference.ts';
import type { Tag } from '../domain/sample/tag.ts';
import { inputsOf } from '../pipeline/derived-tags.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';

export type NeededComponentsOptions = {
  readonly watches: ReadonlyMap<string, WatchConfig>;
  readonly tags: readonly Pick<Tag, 'name' | 'source'>[];
  /** `derived:` of the configuration: valid expressions without cycles, by tag. */
  readonly derived: Readonly<Record<string, { readonly expr: string }>>;
};

/**
 * Returns the health components that each watch (`watch/<id>`) and each tag (`tag/<name>`) needs: sources, models. A derived
 * tag needs the sources of its inputs.
 */
export function neededComponents({ watches, tags, derived }: NeededComponentsOptions): Map<string, readonly string[]> {
  const sourceOf = new Map(tags.map(({ name, source }) => [name, `source/${source}`]));
  const sourcesOf = (tag: string): readonly string[] => {
    const expression = Object.hasOwn(derived, tag) ? derived[tag]?.expr : undefined;
    if (expression === undefined) return [sourceOf.get(tag) ?? ''];
    return [...new Set(inputsOf(expression).flatMap(sourcesOf))];
  };
  return new Map([
    ...tags.map(({ name }) => [`tag/${name}`, sourcesOf(name)] as const),
    ...[...watches].map(([id, { tags: names, model }]) => {
      const sources = new Set(names.flatMap(sourcesOf));
      return [`watch/${id}`, ['inference', `model/${formatModelReference(model)}`, ...sources]] as const;
    }),
  ]);
}

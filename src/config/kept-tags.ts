import type { Tag } from '../domain/sample/tag.ts';
import type { AgentConfig } from './config-schema.ts';

/**
 * Returns a test for the tags that the sample history keeps: those of the watches, on which models are trained and which charts
 * show, and all tags of a source with `history: all`.
 */
export function keptTags({
  sources,
  watches,
}: Pick<AgentConfig, 'sources' | 'watches'>): (tag: Pick<Tag, 'name' | 'source'>) => boolean {
  const watched = new Set(Object.values(watches).flatMap(({ tags }) => tags));
  return ({ name, source }) => watched.has(name) || sources[source]?.history === 'all';
}

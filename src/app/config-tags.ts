import type { Tag } from '../domain/tag.ts';
import type { AgentConfig } from './config-schema.ts';
import { sourceKindOf } from './kinds.ts';

/** Every tag of every source, in the order of the configuration; its number is its place. */
export function agentTags(config: Pick<AgentConfig, 'sources'>): readonly Tag[] {
  const tags: Tag[] = [];
  for (const [source, sourceConfig] of Object.entries(config.sources)) {
    const definitions = sourceKindOf(sourceConfig).tags(sourceConfig);
    for (const tag of definitions) tags.push({ ...tag, source, number: tags.length });
  }
  return tags;
}

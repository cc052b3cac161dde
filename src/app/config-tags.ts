import type { Tag } from '../domain/tag.ts';
import type { AgentConfig } from './config-schema.ts';
import { sourceKindOf } from './kinds.ts';

/** Every tag of every source, in the order of the configuration; its number is its place. */
export function agentTags(config: Pick<AgentConfig, 'sources'>): readonly Tag[] {
  return Object.entries(config.sources)
    .flatMap(([source, sourceConfig]) =>
      sourceKindOf(sourceConfig)
        .tags(sourceConfig)
        .map((tag) => ({ ...tag, source })),
    )
    .map((tag, number) => ({ ...tag, number }));
}

import type { Tag } from '../domain/sample/tag.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import { OperatingError } from '../platform/errors.ts';
import type { AgentConfig } from './config-schema.ts';
import { nearest } from '../domain/nearest-word.ts';
import { agentTags } from './config-tags.ts';

/** A watch with its tags. */
export type WatchBinding = {
  readonly id: string;
  readonly watch: WatchConfig;
  /** Tags in the order of the watch. Their number is the index in that order. */
  readonly tags: readonly Tag[];
};

/**
 * Returns a watch of the configuration with its tags.
 * @throws {OperatingError} 'watch-unknown' (reject).
 */
export function bindWatch(config: AgentConfig, id: string): WatchBinding {
  const watch = config.watches[id];
  if (watch === undefined) {
    const ids = Object.keys(config.watches);
    const near = nearest(id, ids);
    const hint = near === undefined ? `watches: ${ids.join(', ') || 'none'}` : `did you mean '${near}'?`;
    throw new OperatingError('watch-unknown', 'reject', `The configuration has no watch '${id}'; ${hint}`);
  }
  const all = new Map(agentTags(config).map((tag) => [tag.name, tag]));
  const tags = watch.tags.flatMap((name, number) => {
    const tag = all.get(name);
    return tag === undefined ? [] : [{ ...tag, number }];
  });
  return { id, watch, tags };
}

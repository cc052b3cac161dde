import type { Tag } from '../domain/sample/tag.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import { OperatingError } from '../platform/errors.ts';
import type { AgentConfig } from './config-schema.ts';
import { nearest } from '../domain/nearest-word.ts';
import { agentTags } from './config-tags.ts';

/** A watch with the tags it binds. */
export type WatchBinding = {
  readonly id: string;
  readonly watch: WatchConfig;
  /** In the watch's order; numbers are places in that order. */
  readonly tags: readonly Tag[];
};

/** @throws {OperatingError} 'watch-unknown' (reject). */
export function bindWatch(config: AgentConfig, id: string): WatchBinding {
  const watch = config.watches[id];
  if (watch === undefined) {
    const ids = Object.keys(config.watches);
    const meant = nearest(id, ids);
    const hint =
      meant === undefined ? `there is ${ids.length === 0 ? 'none' : ids.join(', ')}` : `did you mean '${meant}'?`;
    throw new OperatingError('watch-unknown', 'reject', `The configuration has no watch '${id}'; ${hint}`);
  }
  const all = new Map(agentTags(config).map((tag) => [tag.name, tag]));
  const tags = watch.tags.flatMap((name, number) => {
    const tag = all.get(name);
    return tag === undefined ? [] : [{ ...tag, number }];
  });
  return { id, watch, tags };
}

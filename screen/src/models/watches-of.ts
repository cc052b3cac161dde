import { watches } from '../agent/agent-state.ts';
import type { Watch } from '../agent/api-types.ts';

/** Returns the watches that use a model, in any version. */
export function watchesOf(model: string | undefined): readonly Watch[] {
  return [...watches.value.values()].map(({ value }) => value).filter((watch) => watch.model.split('@')[0] === model);
}

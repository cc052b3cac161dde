import type { ModelSlot } from './model-slot.ts';

/** A model that takes longer to load is brought back by a fresh host, so that those that are back already need not wait. */
const LOAD_IN_PLACE_MS_MAX = 300;

/**
 * What a host loads at its start. Models that a lost host had come first, the quick ones before the slow; those that
 * would hold up the others, or have never run, are left to a fresh host. One that runs on a server is among them where its
 * active version was to be looked up.
 */
export function startOrder(slots: readonly ModelSlot[]): {
  readonly atOnce: readonly ModelSlot[];
  readonly later: readonly ModelSlot[];
} {
  const loading = slots.filter(
    ({ state, remote, isSought }) => state === 'loading' || (remote !== undefined && isSought),
  );
  const known = loading.filter((slot) => slot.known !== undefined).toSorted((a, b) => a.loadMs - b.loadMs);
  if (known.length === 0) return { atOnce: loading, later: [] };
  const atOnce = known.filter((slot, index) => index === 0 || slot.loadMs <= LOAD_IN_PLACE_MS_MAX);
  return { atOnce, later: loading.filter((slot) => !atOnce.includes(slot)) };
}

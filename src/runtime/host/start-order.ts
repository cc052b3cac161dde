import type { ModelSlot } from './model-slot.ts';

/** A model that takes longer to load is loaded in a fresh host, so that models that are ready need not wait for it. */
const LOAD_IN_PLACE_MS_MAX = 300;

/**
 * Returns what a host loads at its start. Models that a lost host had come first, the quick ones before the slow ones.
 * Models that would delay the others, or that never ran, are loaded `later` in a fresh host.
 */
export function startOrder(slots: readonly ModelSlot[]): {
  readonly immediately: readonly ModelSlot[];
  readonly later: readonly ModelSlot[];
} {
  const lost = slots
    .flatMap((slot) => (slot.state.run.kind === 'lost' ? [{ slot, loadMs: slot.state.run.loaded.loadMs }] : []))
    .toSorted((a, b) => a.loadMs - b.loadMs);
  const others = slots.filter(
    ({ state: { run, load } }) => run.kind === 'none' && (run.state === 'loading' || load === 'requested'),
  );
  if (lost.length === 0) return { immediately: others, later: [] };
  const quick = lost.filter(({ loadMs }, index) => index === 0 || loadMs <= LOAD_IN_PLACE_MS_MAX);
  const immediately = quick.map(({ slot }) => slot);
  const slow = lost.slice(quick.length).map(({ slot }) => slot);
  return { immediately, later: [...slow, ...others] };
}

import type { Judgement, Ticket } from '../pipeline/judge.ts';
import type { Rollout, TriedWindow } from './rollout.ts';

/** A window in its place in the line; without a rollout, only the watch's own model judges it. */
type Place = { readonly window: TriedWindow; readonly rollout: Rollout | undefined; released: boolean };

/** A judgement that becomes a verdict. */
export type Released = {
  readonly judgement: Judgement;
  /** It is the incumbent's where the candidate's was due. */
  readonly isStandIn: boolean;
};

/**
 * The windows of one watch, from falling due until all are done with them that judge them. Judgements that become
 * verdicts leave in the order in which the windows fell due, whichever side each of them comes from; so the windows
 * before and after a rollout have their places too.
 *
 * Bounded by the judges: each has one run under way and one batch waiting for a model, and answers every window.
 */
export class RolloutLine {
  readonly #places = new Map<number, Place>();

  add(ticket: Ticket, rollout: Rollout | undefined): void {
    // What waits here is its turn; the values are the judges' to keep and to let go.
    const light = { ...ticket, window: { ...ticket.window, values: undefined } };
    const window: TriedWindow = { ticket: light, own: undefined, guest: undefined, late: false };
    this.#places.set(ticket.number, { window, rollout, released: false });
  }

  /** @returns The window and its rollout; undefined where the line does not have it. */
  take(side: 'own' | 'guest', judgement: Judgement, atMs: number): Omit<Place, 'released'> | undefined {
    const place = this.#places.get(judgement.ticket.number);
    if (place === undefined) return undefined;
    place.window[side] = { judgement, atMs };
    return place;
  }

  /** What can become a verdict now, in order. */
  release(): readonly Released[] {
    const released: Released[] = [];
    let blocked = false;
    for (const [number, place] of this.#places) {
      const { window, rollout } = place;
      if (!place.released && !blocked) {
        const judgement = rollout === undefined ? window.own?.judgement : rollout.decision(window);
        if (judgement === undefined) blocked = true;
        else {
          place.released = true;
          released.push({ judgement, isStandIn: rollout?.isStandIn(window, judgement) ?? false });
        }
      }
      const isDone = window.own !== undefined && (rollout === undefined || window.guest !== undefined);
      if (place.released && isDone) this.#places.delete(number);
    }
    return released;
  }

  /** The window in front, where it waits for its guest. */
  waiting(): { readonly rollout: Rollout; readonly dueMs: number } | undefined {
    const front = this.#front();
    if (front?.rollout === undefined || !front.rollout.waitsForGuest) return undefined;
    const { ticket, guest, late } = front.window;
    return guest === undefined && !late ? { rollout: front.rollout, dueMs: ticket.dueMs } : undefined;
  }

  /** The window in front waits no longer for its guest. */
  giveUpWaiting(): void {
    const front = this.#front();
    if (front !== undefined) front.window.late = true;
  }

  #front(): Place | undefined {
    for (const place of this.#places.values()) if (!place.released) return place;
    return undefined;
  }
}

import type { Judgement, Ticket } from './judge.ts';
import type { Trial, TriedWindow } from './trial.ts';

/** A window in its place in the line. */
type Place = { readonly window: TriedWindow; readonly trial: Trial; released: boolean };

/** A judgement that becomes a verdict. */
export type Released = {
  readonly judgement: Judgement;
  /** It is the incumbent's where the candidate's was due. */
  readonly isStandIn: boolean;
};

/**
 * The windows of one watch that two versions judge, from falling due until both are done. Judgements that become
 * verdicts leave in the order in which the windows fell due, whichever side each of them comes from.
 *
 * Bounded by the judges: each has one run under way and one batch waiting for a model, and answers every window.
 */
export class TrialLine {
  readonly #places = new Map<number, Place>();

  add(ticket: Ticket, trial: Trial): void {
    const window: TriedWindow = { ticket, own: undefined, guest: undefined, late: false };
    this.#places.set(ticket.number, { window, trial, released: false });
  }

  /** @returns The window and its trial; undefined where it fell due before the trial began. */
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
      const { window, trial } = place;
      if (!place.released && !blocked) {
        const judgement = trial.decision(window);
        if (judgement === undefined) blocked = true;
        else {
          place.released = true;
          released.push({ judgement, isStandIn: trial.isStandIn(window, judgement) });
        }
      }
      if (place.released && window.own !== undefined && window.guest !== undefined) this.#places.delete(number);
    }
    return released;
  }

  /** The window in front, where it waits for its guest. */
  waiting(): { readonly trial: Trial; readonly dueMs: number } | undefined {
    const front = this.#front();
    if (front === undefined || !front.trial.waitsForGuest) return undefined;
    const { ticket, guest, late } = front.window;
    return guest === undefined && !late ? { trial: front.trial, dueMs: ticket.dueMs } : undefined;
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

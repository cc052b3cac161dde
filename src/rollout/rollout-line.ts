import type { Judgement, WindowJob } from '../contracts/window-models.ts';
import { type Decision, decisionOfOwn, type Rollout, type TriedWindow } from './rollout.ts';

/** A window in the line. Without a rollout, only the watch's own model judges it. */
type Entry = { readonly window: TriedWindow; readonly rollout: Rollout | undefined; released: boolean };

/**
 * The windows of one watch, from the time that they are due until every judge has answered. Judgements become verdicts in
 * the order of the windows, from either version. Windows without a rollout are in the line too, so that the order also
 * holds at its start and end.
 *
 * Bounded by the judges: each has one run in progress and one batch waiting for a model, and answers every window.
 */
export class RolloutLine {
  readonly #entries = new Map<number, Entry>();

  add(job: WindowJob, rollout: Rollout | undefined): void {
    // The line does not need the values; the judges keep and release them.
    const light = { ...job, window: { ...job.window, values: undefined } };
    const window: TriedWindow = { job: light, own: undefined, guest: undefined, late: false };
    this.#entries.set(job.number, { window, rollout, released: false });
  }

  /** @returns The window and its rollout; undefined if it is not in the line. */
  take(side: 'own' | 'guest', judgement: Judgement, atMs: number): Omit<Entry, 'released'> | undefined {
    const entry = this.#entries.get(judgement.job.number);
    if (entry === undefined) return undefined;
    entry.window[side] = { judgement, atMs };
    return entry;
  }

  /** Returns the decisions that can become verdicts now, in order. */
  release(): readonly Decision[] {
    const released: Decision[] = [];
    let blocked = false;
    for (const [number, entry] of this.#entries) {
      const { window, rollout } = entry;
      if (!entry.released && !blocked) {
        const decision = rollout === undefined ? decisionOfOwn(window) : rollout.decision(window);
        if (decision === undefined) blocked = true;
        else {
          entry.released = true;
          released.push(decision);
        }
      }
      const isDone = window.own !== undefined && (rollout === undefined || window.guest !== undefined);
      if (entry.released && isDone) this.#entries.delete(number);
    }
    return released;
  }

  /** Returns the first window if it waits for the guest. */
  waiting(): { readonly rollout: Rollout; readonly dueMs: number } | undefined {
    const front = this.#front();
    if (front?.rollout === undefined || !front.rollout.waitsForGuest) return undefined;
    const { job, guest, late } = front.window;
    return guest === undefined && !late ? { rollout: front.rollout, dueMs: job.dueMs } : undefined;
  }

  /** Marks the first window: it no longer waits for the guest. */
  giveUpWaiting(): void {
    const front = this.#front();
    if (front !== undefined) front.window.late = true;
  }

  #front(): Entry | undefined {
    for (const entry of this.#entries.values()) if (!entry.released) return entry;
    return undefined;
  }
}

import type { AlarmTransition } from '../domain/alarm/alarm.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { Quality, QualityReason } from '../domain/sample/quality.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';
import type { WatchSummary } from './watch-summaries.ts';

/**
 * Events for live subscribers. Verdicts and alarms follow their commit and carry the id of their record. An alarm has no id
 * if it was stored before this start. A `watch` event follows a change of the state of a watch within a second.
 */
export type LiveEvent =
  | { readonly type: 'verdict'; readonly verdict: Verdict; readonly id: string }
  | { readonly type: 'alarm'; readonly transition: AlarmTransition; readonly id: string | undefined }
  | { readonly type: 'watch'; readonly summary: WatchSummary }
  | { readonly type: 'tags'; readonly tags: readonly TagReading[] };

/** A tag's last value, for people and subscribers. */
export type TagReading = {
  readonly tag: string;
  readonly value: number | undefined;
  /** Name of the value, or the text that the number stands for; undefined for a plain number. */
  readonly text?: string | undefined;
  readonly unit: string;
  readonly timestampMs: EpochMs;
  readonly quality: Quality;
  readonly reason: QualityReason;
};

/** Hands events on, in order, synchronously; a listener never throws and never waits. */
export class LiveEvents {
  readonly #listeners = new Set<(event: LiveEvent) => void>();

  /** @returns Ends the subscription. */
  subscribe(listener: (event: LiveEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: LiveEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

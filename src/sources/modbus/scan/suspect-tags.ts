import { reasonCode } from '../../../domain/sample/quality.ts';
import type { SampleBatch } from '../../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../../domain/sample/tag.ts';

/** A tag is reported for this long after its last suspect value, so that a flapping value does not flood the log. */
const HELD_MS = 60_000;
const SUSPECT = reasonCode('not-available?');

/** Tags whose raw value is usually a code for "not available", for health. */
export class SuspectTags {
  readonly #untilMs = new Map<TagNumber, number>();

  /** Takes the samples of a scan. @returns True if the tags have changed. */
  scanned(batch: SampleBatch, nowMs: number): boolean {
    let changed = false;
    for (let index = 0; index < batch.length; index += 1) {
      if (batch.reasons[index] !== SUSPECT) continue;
      const tag = batch.tags[index] ?? 0;
      changed ||= !this.#untilMs.has(tag);
      this.#untilMs.set(tag, nowMs + HELD_MS);
    }
    for (const [tag, untilMs] of this.#untilMs) if (untilMs <= nowMs) changed = this.#untilMs.delete(tag);
    return changed;
  }

  numbers(): readonly TagNumber[] {
    return [...this.#untilMs.keys()];
  }
}

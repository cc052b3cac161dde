import type { SampleSink } from '../../src/contracts/sample-sink.ts';
import { type Quality, qualityOf, type QualityReason, reasonOf } from '../../src/domain/sample/quality.ts';
import type { SampleBatch } from '../../src/domain/sample/sample-batch.ts';

type RecordedSample = {
  readonly value: number;
  readonly timeMs: number;
  readonly quality: Quality;
  readonly reason: QualityReason;
};

/** One scan, by tag number. */
export type RecordedScan = ReadonlyMap<number, RecordedSample>;

/** Keeps every scan, and lets a test wait for one of a kind. */
export class RecordingSink implements SampleSink {
  readonly scans: RecordedScan[] = [];
  /** Last values of text tags. */
  readonly texts = new Map<number, string>();
  readonly #waiters = new Set<{
    readonly wanted: (scan: RecordedScan) => boolean;
    readonly found: (scan: RecordedScan) => void;
  }>();

  accept(batch: SampleBatch): void {
    const scan = new Map<number, RecordedSample>();
    for (let index = 0; index < batch.length; index += 1) {
      const tag = batch.tags[index] ?? -1;
      if (scan.has(tag)) throw new Error(`Tag ${tag} is in the batch twice`);
      scan.set(tag, {
        value: batch.values[index] ?? NaN,
        timeMs: batch.timesMs[index] ?? NaN,
        quality: qualityOf(batch.qualities[index] ?? 2),
        reason: reasonOf(batch.reasons[index] ?? 0),
      });
    }
    for (const [tag, text] of batch.texts ?? []) this.texts.set(tag, text);
    this.scans.push(scan);
    for (const waiter of this.#waiters) {
      if (!waiter.wanted(scan)) continue;
      this.#waiters.delete(waiter);
      waiter.found(scan);
    }
  }

  /** The next scan that is as wanted, from now on. */
  next(wanted: (scan: RecordedScan) => boolean = () => true): Promise<RecordedScan> {
    return new Promise((found) => this.#waiters.add({ wanted, found }));
  }
}

import type { BindTag } from '../../src/contracts/source.ts';
import type { SampleBatch } from '../../src/domain/sample/sample-batch.ts';
import { qualityOf, reasonOf } from '../../src/domain/sample/quality.ts';
import { Recorder } from './broker-recorder.ts';

export type SeenSample = {
  readonly tag: string;
  readonly value: number;
  readonly timeMs: number;
  readonly quality: string;
  readonly reason: string;
};

/** Environment of a source: a tag table that grows with new names, and every received sample. */
export class SourceHarness {
  readonly batches = new Recorder<readonly SeenSample[]>();
  /** Values of the past, which went to the history alone. */
  readonly past: SeenSample[] = [];
  readonly names: string[];
  readonly tagNumbers: ReadonlyMap<string, number>;
  readonly #tagsMax: number;
  /** Implementation of `history.stored()`, which a test may replace. */
  stored: () => Promise<void> = () => Promise.resolve();

  /** @param names Tags that the configuration names. @param tagsMax Discovered tags included. */
  constructor(names: readonly string[], tagsMax = 1000) {
    this.names = [...names];
    this.tagNumbers = new Map(names.map((name, number) => [name, number]));
    this.#tagsMax = tagsMax;
  }

  readonly stateFolder = '/nonexistent';
  readonly sink = { accept: (batch: SampleBatch) => this.batches.push(this.#samplesOf(batch)) };
  readonly history = {
    add: (batch: SampleBatch) => void this.past.push(...this.#samplesOf(batch)),
    stored: () => this.stored(),
  };
  readonly bindTag: BindTag = (_pattern, name) => {
    const known = this.names.indexOf(name);
    if (known !== -1) return known < this.tagNumbers.size ? 'name-taken' : known;
    return this.names.length >= this.#tagsMax ? 'too-many' : this.names.push(name) - 1;
  };

  /** The last sample of a tag. */
  last(tag: string): SeenSample | undefined {
    return this.batches.items.flat().findLast((sample) => sample.tag === tag);
  }

  #samplesOf(batch: SampleBatch): readonly SeenSample[] {
    return Array.from({ length: batch.length }, (_, index) => ({
      tag: this.names[batch.tags[index] ?? -1] ?? '?',
      value: batch.values[index] ?? Number.NaN,
      timeMs: batch.timesMs[index] ?? Number.NaN,
      quality: qualityOf(batch.qualities[index] ?? 2),
      reason: reasonOf(batch.reasons[index] ?? 0),
    }));
  }
}

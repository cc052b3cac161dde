import type { TagReading } from '../../contracts/live-events.ts';
import type { SparkplugMetricDraft } from '../../protocols/sparkplug/sparkplug-payload.ts';

/** Change that hosts have not received: of a tag, or of a metric of the edge node. */
export type MissedChange =
  | { readonly kind: 'tag'; readonly reading: TagReading }
  | { readonly kind: 'metric'; readonly metric: SparkplugMetricDraft };

/** Changes while the primary host or the broker is away, oldest first. If it is full, the oldest are dropped. */
export class MissedChanges {
  readonly #max: number;
  readonly #onDrop: (count: number) => void;
  #changes: MissedChange[] = [];
  /** Last kept value and quality of each tag. */
  readonly #last = new Map<string, TagReading>();

  constructor(max: number, onDrop: (count: number) => void) {
    this.#max = max;
    this.#onDrop = onDrop;
  }

  get size(): number {
    return this.#changes.length;
  }

  /** Keeps readings with another value or quality than the one before. */
  addTags(readings: readonly TagReading[]): void {
    for (const reading of readings) {
      const last = this.#last.get(reading.tag);
      if (last !== undefined && last.value === reading.value && last.quality === reading.quality) continue;
      this.#last.set(reading.tag, reading);
      this.#changes.push({ kind: 'tag', reading });
    }
    this.#limit();
  }

  addMetrics(metrics: readonly SparkplugMetricDraft[]): void {
    for (const metric of metrics) this.#changes.push({ kind: 'metric', metric });
    this.#limit();
  }

  /** Removes and returns the oldest changes. */
  take(count: number): readonly MissedChange[] {
    this.#last.clear();
    return this.#changes.splice(0, count);
  }

  /** Puts changes back that could not be sent. */
  putBack(changes: readonly MissedChange[]): void {
    this.#changes = [...changes, ...this.#changes];
    this.#limit();
  }

  #limit(): void {
    // A tenth at a time: to remove the first element of a long array copies it.
    const excess = this.#changes.length - this.#max;
    if (excess <= 0) return;
    const dropped = Math.max(excess, Math.ceil(this.#max / 10));
    this.#changes.splice(0, dropped);
    this.#onDrop(dropped);
  }
}

import type { Rollup } from '../../contracts/sample-history.ts';
import { type Aggregate, joinAggregates } from './rollup-block.ts';

/** Collects the spans of one tag as columns, oldest first. A month has 43,200 minutes, so that a span is no object here. */
export class SpanColumns {
  readonly #spans: number[] = [];
  readonly #lows: number[] = [];
  readonly #highs: number[] = [];
  readonly #sums: number[] = [];
  readonly #counts: number[] = [];
  readonly #qualities: number[] = [];
  /** Spans that are not packed yet, or that have a part that is not packed. */
  readonly #open: Map<number, Aggregate>;

  /** @param open By span, in ascending order. */
  constructor(open: ReadonlyMap<number, Aggregate>) {
    this.#open = new Map(open);
  }

  /** Adds a packed span. They come in ascending order. */
  add(span: number, packed: Aggregate): void {
    const open = this.#open.get(span);
    this.#push(span, open === undefined ? packed : joinAggregates(packed, open));
    if (open !== undefined) this.#open.delete(span);
  }

  rollup(tag: string, spanMs: number): Rollup {
    const last = this.#spans.at(-1) ?? -Infinity;
    const isSorted = [...this.#open.keys()].every((span) => span > last);
    for (const [span, aggregate] of this.#open) this.#push(span, aggregate);
    const spans = this.#spans;
    const order = isSorted
      ? undefined
      : spans.map((_, index) => index).toSorted((a, b) => (spans[a] ?? 0) - (spans[b] ?? 0));
    const column = (values: readonly number[]): Float64Array =>
      order === undefined
        ? Float64Array.from(values)
        : Float64Array.from(order, (index) => values[index] ?? Number.NaN);
    const counts = column(this.#counts);
    return {
      tag,
      timesMs: column(spans).map((span) => span * spanMs),
      minima: column(this.#lows),
      maxima: column(this.#highs),
      means: column(this.#sums).map((sum, index) => sum / (counts[index] ?? 0)),
      counts,
      qualities: Uint8Array.from(column(this.#qualities)),
    };
  }

  #push(span: number, { low, high, sum, count, quality }: Aggregate): void {
    this.#spans.push(span);
    this.#lows.push(low);
    this.#highs.push(high);
    this.#sums.push(sum);
    this.#counts.push(count);
    this.#qualities.push(quality);
  }
}

import type { TrainingRows } from './training-rows.ts';

/** Rows of a span: half an hour at one row a second, many times the length of a window. */
const SPAN_ROWS = 2048;

/** Consecutive rows of one or more runs. */
type Span = {
  readonly number: number;
  readonly values: Float64Array;
  count: number;
  /** True if it has a row that must be kept. */
  isKept: boolean;
  /** Rows of the span at which a new run starts. */
  readonly breaks: number[];
};

/**
 * Accepts any number of rows and keeps as many as a fit can use, in bounded memory.
 *
 * Beyond `valuesMax` every second span is dropped, and from then on only every second span is kept, and so on. The kept
 * spans are spread evenly over the whole recording, nights and weekends included, and the same rows give the same spans.
 */
export class RowCollector {
  readonly #columns: number;
  readonly #valuesMax: number;
  #spans: Span[] = [];
  /** Spans whose number is a multiple of this are kept. */
  #stride = 1;
  #rows = 0;
  #kept = 0;
  #open = false;

  /** @param valuesMax Maximum number of kept values (rows × columns). */
  constructor(columns: number, valuesMax: number) {
    this.#columns = columns;
    this.#valuesMax = Math.max(valuesMax, columns * SPAN_ROWS * 2);
  }

  /** Number of added rows, kept or not. */
  get rows(): number {
    return this.#rows;
  }

  /**
   * Adds the next row; copies it.
   *
   * @param keep True for a row that must not be dropped. Such spans have at most half of the room.
   */
  add(row: ArrayLike<number>, keep = false): void {
    const number = Math.floor(this.#rows / SPAN_ROWS);
    this.#rows += 1;
    let span = this.#spans.at(-1);
    if (span?.number !== number) {
      const isKept = keep && this.#mayKeep();
      span = isKept || number % this.#stride === 0 ? this.#nextSpan(number, isKept) : undefined;
    }
    if (span === undefined) {
      this.#open = false;
      return;
    }
    span.isKept ||= keep && this.#mayKeep();
    if (!this.#open) span.breaks.push(span.count);
    this.#open = true;
    span.values.set(row, span.count * this.#columns);
    span.count += 1;
    this.#kept += 1;
  }

  /** Ends the run: the next row does not follow the last one. */
  endRun(): void {
    this.#open = false;
  }

  /** Returns the kept rows as runs without a gap, in order. */
  runs(): readonly TrainingRows[] {
    const values = new Float64Array(this.#kept * this.#columns);
    const starts: number[] = [];
    let first = 0;
    for (const [index, span] of this.#spans.entries()) {
      values.set(span.values.subarray(0, span.count * this.#columns), first * this.#columns);
      const follows = this.#spans[index - 1]?.number === span.number - 1;
      if (!follows && span.breaks[0] !== 0) starts.push(first);
      for (const row of span.breaks) starts.push(first + row);
      first += span.count;
    }
    return starts.map((start, index) => {
      const end = starts[index + 1] ?? first;
      return {
        count: end - start,
        tags: this.#columns,
        values: values.subarray(start * this.#columns, end * this.#columns),
      };
    });
  }

  #mayKeep(): boolean {
    const spans = this.#spans.filter(({ isKept }) => isKept).length;
    return (spans + 1) * SPAN_ROWS * this.#columns <= this.#valuesMax / 2;
  }

  /** @returns Undefined if this span is one of those dropped to make room. */
  #nextSpan(number: number, isKept: boolean): Span | undefined {
    if ((this.#kept + SPAN_ROWS) * this.#columns > this.#valuesMax) {
      this.#stride *= 2;
      this.#spans = this.#spans.filter((span) => span.isKept || span.number % this.#stride === 0);
      this.#kept = this.#spans.reduce((sum, { count }) => sum + count, 0);
      if (!isKept && number % this.#stride !== 0) return undefined;
    }
    const span = { number, values: new Float64Array(SPAN_ROWS * this.#columns), count: 0, isKept, breaks: [] };
    this.#spans.push(span);
    return span;
  }
}

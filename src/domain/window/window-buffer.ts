import type { EpochMs } from '../epoch-ms.ts';
import type { DueWindow, WindowPlan } from './window-plan.ts';

/** Most tags named in a reason. */
const TAGS_NAMED_MAX = 3;

/** Returns for an operator why a column has no value at `timeMs`: 'no good value for 12 s (timeout)'. */
export type ColumnExplanation = (column: number, timeMs: EpochMs) => string;

/** The last `steps` sealed rows, as a ring: the newest row replaces the oldest. */
export class WindowBuffer {
  readonly #plan: WindowPlan;
  readonly #columns: number;
  /** Shape [steps, tags], a ring of rows. NaN marks a missing cell. */
  readonly #cells: Float32Array;
  readonly #missing: Int32Array;
  readonly #goodRowsMin: number;
  #next = 0;
  #rows = 0;
  #startupUntilMs: EpochMs;

  constructor(plan: WindowPlan, startMs: EpochMs) {
    this.#plan = plan;
    this.#columns = plan.tags.length;
    this.#cells = new Float32Array(plan.steps * this.#columns);
    this.#missing = new Int32Array(this.#columns);
    // Without the small term, rounding errors would turn 0.7 × 10 into 8 rows.
    this.#goodRowsMin = Math.max(1, Math.ceil(plan.minGood * plan.steps - 1e-9));
    this.#startupUntilMs = startMs + plan.maxAgeMs;
  }

  get rows(): number {
    return this.#rows;
  }

  get full(): boolean {
    return this.#rows === this.#plan.steps;
  }

  /** Returns a buffer for windows of another length, with the newest rows of this one. */
  resized(plan: WindowPlan): WindowBuffer {
    const other = new WindowBuffer(plan, Infinity);
    const capacity = this.#plan.steps;
    for (let age = Math.min(this.#rows, plan.steps); age > 0; age -= 1) {
      const row = (this.#next - age + capacity) % capacity;
      other.push(Infinity, this.#cells.subarray(row * this.#columns, (row + 1) * this.#columns));
    }
    other.#startupUntilMs = this.#startupUntilMs;
    return other;
  }

  restart(startMs: EpochMs): void {
    this.#next = 0;
    this.#rows = 0;
    this.#missing.fill(0);
    this.#startupUntilMs = startMs + this.#plan.maxAgeMs;
  }

  /**
   * Adds the next row. Incomplete rows at the start are skipped until `maxAgeMs` have passed: not every tag has a value
   * immediately, and these gaps would make the first full window unusable.
   *
   * @param row One cell for each tag, NaN if missing. Copied.
   */
  push(rowMs: EpochMs, row: Float32Array): void {
    if (this.#rows === 0 && rowMs < this.#startupUntilMs && row.some(Number.isNaN)) return;
    const full = this.full;
    let cell = this.#next * this.#columns;
    for (let column = 0; column < this.#columns; column += 1, cell += 1) {
      const value = row[column] ?? Number.NaN;
      const gone = full && Number.isNaN(this.#cells[cell]) ? 1 : 0;
      const came = Number.isNaN(value) ? 1 : 0;
      this.#missing[column] = (this.#missing[column] ?? 0) + came - gone;
      this.#cells[cell] = value;
    }
    this.#next = this.#next + 1 === this.#plan.steps ? 0 : this.#next + 1;
    if (!full) this.#rows += 1;
  }

  /** Returns the window that ends with the newest row. Call only when `full`. */
  cut(timestampMs: EpochMs, explain: ColumnExplanation): DueWindow {
    const { steps } = this.#plan;
    const values = new Float32Array(this.#cells.length);
    const oldest = this.#next * this.#columns;
    values.set(this.#cells.subarray(oldest));
    values.set(this.#cells.subarray(0, oldest), this.#cells.length - oldest);
    const lastRow = values.slice((steps - 1) * this.#columns);
    const absent: number[] = [];
    for (let column = 0; column < this.#columns; column += 1) {
      const missing = this.#missing[column] ?? 0;
      if (steps - missing < this.#goodRowsMin) absent.push(column);
      else if (missing > 0) fillColumn(values, column, this.#columns);
    }
    if (absent.length === 0) return { timestampMs, values, lastRow, reason: undefined };
    const reason = this.#missingReason(absent, timestampMs, lastRow, explain);
    if (absent.length > (this.#plan.missingTagsMax ?? 0)) return { timestampMs, values: undefined, lastRow, reason };
    // A column of measured and estimated cells would have steps that the tag never had.
    for (const column of absent)
      for (let cell = column; cell < values.length; cell += this.#columns) values[cell] = Number.NaN;
    return { timestampMs, values, missing: absent, lastRow, reason };
  }

  #missingReason(
    absent: readonly number[],
    timestampMs: EpochMs,
    lastRow: Float32Array,
    explain: ColumnExplanation,
  ): string {
    const { steps, tags } = this.#plan;
    const reasons = absent.map((column) => {
      const stale = Number.isNaN(lastRow[column]);
      const counted = `${this.#missing[column] ?? 0} of ${steps} values of the window are missing`;
      return `${tags[column]}: ${stale ? explain(column, timestampMs) : counted}`;
    });
    const unnamed = reasons.length - TAGS_NAMED_MAX;
    const named = reasons.slice(0, TAGS_NAMED_MAX).join('; ');
    return unnamed > 0 ? `${named}; and ${unnamed} more tags` : named;
  }
}

/** Fills missing cells with the previous good value of the window, and those at the start with the first one. */
function fillColumn(values: Float32Array, column: number, columns: number): void {
  let first = column;
  while (first < values.length && Number.isNaN(values[first])) first += columns;
  let held = values[first] ?? Number.NaN;
  for (let cell = column; cell < values.length; cell += columns) {
    const value = values[cell] ?? Number.NaN;
    if (Number.isNaN(value)) values[cell] = held;
    else held = value;
  }
}

import type { EpochMs } from '../epoch-ms.ts';
import { AHEAD_MS_MAX } from '../sample/quality-gate.ts';
import { WindowBuffer } from './window-buffer.ts';
import { WindowColumns } from './window-columns.ts';
import type { DueListener, Windower, WindowPlan } from './window-plan.ts';

/** Most rows sealed at once. After a longer gap the windows restart, because all held values are stale. */
const ROWS_AT_ONCE_MAX = 10_000;

/**
 * Puts tags that arrive at different rates on one grid.
 *
 * The row at grid point g has the newest good value of each tag with a time at or before g, at most `maxAgeMs` old. The row
 * is sealed when every tag has a sample at g or later, or `latenessMs` after g, whichever is first. Until then, late samples
 * count. Of two samples of one tag with the same time, the later arrival counts.
 */
export class GridWindower implements Windower {
  #plan: WindowPlan;
  readonly #stepMs: number;
  readonly #hopRows: number;
  readonly #onDue: DueListener;
  #buffer: WindowBuffer;
  readonly #columns: WindowColumns;
  readonly #row: Float32Array;
  /**
   * Newest good sample of each tag between two grid points, for rows that are not sealed. Shape [pendingRows, tags], a ring
   * of rows with the oldest at `#head`. A time of -Infinity marks an empty cell.
   */
  readonly #pendingMs: Float64Array;
  readonly #pendingValues: Float32Array;
  readonly #pendingRows: number;
  #head = 0;
  /** Last sealed grid point: its time divided by the step. */
  #sealed = 0;
  #first = 0;
  #added = false;
  #lateSamples = 0;

  constructor(plan: WindowPlan, stepMs: number, startMs: EpochMs, onDue: DueListener) {
    const columns = plan.tags.length;
    this.#plan = plan;
    this.#stepMs = stepMs;
    this.#hopRows = plan.hopMs === 'scan' ? 1 : Math.max(1, Math.round(plan.hopMs / stepMs));
    this.#onDue = onDue;
    this.#buffer = new WindowBuffer(plan, startMs);
    this.#columns = new WindowColumns(columns);
    this.#row = new Float32Array(columns);
    this.#pendingRows = Math.ceil((plan.latenessMs + AHEAD_MS_MAX) / stepMs) + 2;
    this.#pendingMs = new Float64Array(this.#pendingRows * columns);
    this.#pendingValues = new Float32Array(this.#pendingRows * columns);
    this.restart(startMs);
  }

  get rows(): number {
    return this.#buffer.rows;
  }

  get lateSamples(): number {
    return this.#lateSamples;
  }

  add(column: number, timeMs: EpochMs, value: number, good: boolean, reason: number): void {
    const point = Math.ceil(timeMs / this.#stepMs);
    const ahead = point - this.#sealed - 1;
    if (ahead >= this.#pendingRows) return;
    this.#added = true;
    this.#columns.record(column, timeMs, reason);
    if (ahead < 0) {
      if (point >= this.#first) this.#lateSamples += 1;
      if (good) this.#columns.hold(column, timeMs, value);
      return;
    }
    if (!good) return;
    const row = this.#head + ahead;
    const cell = (row < this.#pendingRows ? row : row - this.#pendingRows) * this.#row.length + column;
    if (timeMs < (this.#pendingMs[cell] ?? Infinity)) return;
    this.#pendingMs[cell] = timeMs;
    this.#pendingValues[cell] = value;
  }

  endBatch(): void {
    if (!this.#added) return;
    this.#added = false;
    this.#sealThrough(Math.floor(this.#columns.allSeenMs() / this.#stepMs));
  }

  advance(nowMs: EpochMs): void {
    this.#sealThrough(Math.floor((nowMs - this.#plan.latenessMs) / this.#stepMs));
  }

  deadlineMs(): EpochMs {
    return (this.#sealed + 1) * this.#stepMs + this.#plan.latenessMs;
  }

  resize(steps: number): void {
    this.#plan = { ...this.#plan, steps };
    this.#buffer = this.#buffer.resized(this.#plan);
  }

  restart(nowMs: EpochMs): void {
    this.#first = Math.ceil(nowMs / this.#stepMs);
    this.#sealed = this.#first - 1;
    this.#head = 0;
    this.#added = false;
    this.#pendingMs.fill(-Infinity);
    this.#columns.clear();
    this.#buffer.restart(nowMs);
  }

  #sealThrough(point: number): void {
    if (point - this.#sealed > Math.max(ROWS_AT_ONCE_MAX, this.#plan.steps)) this.restart(point * this.#stepMs);
    while (this.#sealed < point) this.#sealNext();
  }

  #sealNext(): void {
    const point = this.#sealed + 1;
    const rowMs = point * this.#stepMs;
    let cell = this.#head * this.#row.length;
    for (let column = 0; column < this.#row.length; column += 1, cell += 1) {
      const pendingMs = this.#pendingMs[cell] ?? -Infinity;
      if (pendingMs !== -Infinity) {
        this.#columns.hold(column, pendingMs, this.#pendingValues[cell] ?? Number.NaN);
        this.#pendingMs[cell] = -Infinity;
      }
      this.#row[column] = this.#columns.valueAt(column, rowMs, this.#plan.maxAgeMs);
    }
    this.#sealed = point;
    this.#head = this.#head + 1 === this.#pendingRows ? 0 : this.#head + 1;
    this.#buffer.push(rowMs, this.#row);
    if (this.#buffer.full && point % this.#hopRows === 0) this.#onDue(this.#buffer.cut(rowMs, this.#columns.explain));
  }
}

import type { EpochMs } from '../epoch-ms.ts';
import { WindowBuffer } from './window-buffer.ts';
import { WindowColumns } from './window-columns.ts';
import type { DueListener, Windower, WindowPlan } from './window-plan.ts';

/**
 * Makes a row from each scan, without waiting for a grid point, for models that must judge immediately.
 *
 * A scan is a batch with the first tag of the plan, and the row has the time of that tag. The other tags contribute their
 * newest good value, at most `maxAgeMs` old. If no scan arrives for `maxAgeMs` + `latenessMs`, one window without values is
 * due, because a silent source must not look like a healthy plant.
 */
export class ScanWindower implements Windower {
  #plan: WindowPlan;
  readonly #onDue: DueListener;
  #buffer: WindowBuffer;
  readonly #columns: WindowColumns;
  readonly #row: Float32Array;
  #scanMs = -Infinity;
  #lastRowMs = -Infinity;
  #lastDueMs = -Infinity;
  #silentFromMs: EpochMs;
  #lateSamples = 0;

  constructor(plan: WindowPlan, startMs: EpochMs, onDue: DueListener) {
    this.#plan = plan;
    this.#onDue = onDue;
    this.#buffer = new WindowBuffer(plan, startMs);
    this.#columns = new WindowColumns(plan.tags.length);
    this.#row = new Float32Array(plan.tags.length);
    this.#silentFromMs = startMs + plan.maxAgeMs + plan.latenessMs;
  }

  get rows(): number {
    return this.#buffer.rows;
  }

  get lateSamples(): number {
    return this.#lateSamples;
  }

  add(column: number, timeMs: EpochMs, value: number, good: boolean, reason: number): void {
    this.#columns.record(column, timeMs, reason);
    if (good) this.#columns.hold(column, timeMs, value);
    if (column !== 0) return;
    if (timeMs <= this.#lastRowMs) this.#lateSamples += 1;
    else if (timeMs > this.#scanMs) this.#scanMs = timeMs;
  }

  endBatch(): void {
    const rowMs = this.#scanMs;
    if (rowMs <= this.#lastRowMs) return;
    for (let column = 0; column < this.#row.length; column += 1)
      this.#row[column] = this.#columns.valueAt(column, rowMs, this.#plan.maxAgeMs);
    this.#lastRowMs = rowMs;
    this.#silentFromMs = rowMs + this.#plan.maxAgeMs + this.#plan.latenessMs;
    this.#buffer.push(rowMs, this.#row);
    if (!this.#buffer.full) return;
    if (this.#plan.hopMs !== 'scan' && rowMs - this.#lastDueMs < this.#plan.hopMs) return;
    this.#lastDueMs = rowMs;
    this.#onDue(this.#buffer.cut(rowMs, this.#columns.explain));
  }

  advance(nowMs: EpochMs): void {
    if (nowMs < this.#silentFromMs) return;
    this.#silentFromMs = Infinity;
    if (!this.#buffer.full) return;
    this.#onDue({
      timestampMs: nowMs,
      values: undefined,
      lastRow: new Float32Array(this.#row.length).fill(Number.NaN),
      reason: `${this.#plan.tags[0]}: ${this.#columns.explain(0, nowMs)}`,
    });
  }

  deadlineMs(): EpochMs {
    return this.#silentFromMs;
  }

  resize(steps: number): void {
    this.#plan = { ...this.#plan, steps };
    this.#buffer = this.#buffer.resized(this.#plan);
  }

  restart(nowMs: EpochMs): void {
    this.#scanMs = -Infinity;
    this.#lastRowMs = -Infinity;
    this.#lastDueMs = -Infinity;
    this.#silentFromMs = nowMs + this.#plan.maxAgeMs + this.#plan.latenessMs;
    this.#columns.clear();
    this.#buffer.restart(nowMs);
  }
}

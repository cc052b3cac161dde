import type { WatchBinding } from '../config/watch-binding.ts';
import { QualityGate } from '../domain/sample/quality-gate.ts';
import { BAD, GOOD } from '../domain/sample/quality.ts';
import { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag } from '../domain/sample/tag.ts';
import type { DueWindow, Windower, WindowPlan } from '../domain/window/window-plan.ts';
import { createWindower } from '../domain/window/windower.ts';
import type { RecordedRow, Recording, RowRange } from './recording.ts';

/** Spacing of rows without times, for a watch with a row for each scan. */
const SCAN_ROW_MS = 1000;

/**
 * 'rows': each recorded row is one step of the window, at any time. 'times': rows arrive at their own times, and
 * the windower puts them on the live grid.
 */
type Pacing = 'rows' | 'times';

/** Rows of a recording for a watch. */
export type RecordedRows = {
  readonly binding: WatchBinding;
  readonly recording: Recording;
  /** Earlier rows of the recording are history for the first windows. */
  readonly range: RowRange;
  readonly pacing: Pacing;
};

export type RecordedFeedOptions = {
  readonly tags: readonly Tag[];
  readonly plan: WindowPlan;
  readonly pacing: Pacing;
  /** @param row The last recorded row at the window's end. */
  readonly onDue: (window: DueWindow, row: RecordedRow) => void;
};

/** Takes recorded rows the way of live samples: through the quality gate into the windower. */
export class RecordedFeed {
  readonly #options: RecordedFeedOptions;
  readonly #gate: QualityGate;
  readonly #raw: SampleBatch;
  readonly #gated: SampleBatch;
  readonly #reported: Uint8Array;
  readonly #rowMs: number;
  /** Number of values that the quality gate marked as out of range, by tag. */
  readonly #outside: number[];
  #windower: Windower | undefined;
  #nowMs = 0;
  #row: RecordedRow | undefined;
  #before: RecordedRow | undefined;

  constructor(options: RecordedFeedOptions) {
    const { tags, plan } = options;
    this.#options = options;
    this.#gate = new QualityGate(tags);
    this.#raw = new SampleBatch(tags.length);
    this.#gated = new SampleBatch(tags.length);
    this.#reported = new Uint8Array(tags.length);
    this.#rowMs = plan.stepMs === 'scan' ? SCAN_ROW_MS : plan.stepMs;
    this.#outside = tags.map(() => 0);
  }

  get outside(): readonly number[] {
    return this.#outside;
  }

  /** Samples that came after the row of the grid that they belonged to. */
  get lateSamples(): number {
    return this.#options.pacing === 'times' ? (this.#windower?.lateSamples ?? 0) : 0;
  }

  add(row: RecordedRow): void {
    const timeMs = this.#options.pacing === 'rows' ? row.row * this.#rowMs : (row.timeMs ?? 0);
    // A row with an earlier time arrives late, as it would live.
    this.#nowMs = Math.max(this.#nowMs, timeMs);
    this.#before = this.#row;
    this.#row = row;
    const windower = (this.#windower ??= this.#createWindower(timeMs));
    if (this.#options.pacing === 'times') windower.advance(this.#nowMs);
    this.#fill(row.values, timeMs);
    this.#gate.pass(this.#raw, this.#nowMs, this.#gated, this.#reported);
    const { tags, timesMs, values, qualities, reasons, length } = this.#gated;
    for (let index = 0; index < length; index += 1) {
      const column = tags[index] ?? 0;
      const good = qualities[index] === GOOD;
      if (!good && this.#raw.qualities[index] === GOOD) this.#outside[column] = (this.#outside[column] ?? 0) + 1;
      windower.add(column, timesMs[index] ?? 0, values[index] ?? 0, good, reasons[index] ?? 0);
    }
    windower.endBatch();
  }

  /** Ends the recording: completes the rows that wait for late samples, up to the last row. */
  end(): void {
    if (this.#options.pacing === 'times') this.#windower?.advance(this.#nowMs + this.#options.plan.latenessMs);
  }

  #createWindower(startMs: number): Windower {
    return createWindower(this.#options.plan, startMs, (window) => {
      const current = this.#row;
      if (current === undefined) return;
      const isBefore = this.#options.pacing === 'times' && (current.timeMs ?? 0) > window.timestampMs;
      this.#options.onDue(window, isBefore ? (this.#before ?? current) : current);
    });
  }

  /**
   * If each row is a step, a missing value is a bad sample of that step. For rows with times it is not a sample: each tag may
   * have its own times.
   */
  #fill(values: Float64Array, timeMs: number): void {
    this.#raw.clear();
    for (const [column, value] of values.entries()) {
      if (!Number.isNaN(value)) this.#raw.add(column, value, timeMs, GOOD, 'none');
      else if (this.#options.pacing === 'rows') this.#raw.add(column, 0, timeMs, BAD, 'not-finite');
    }
  }
}

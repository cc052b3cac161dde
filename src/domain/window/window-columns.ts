import type { EpochMs } from '../epoch-ms.ts';
import { reasonOf } from '../sample/quality.ts';

/** State of each tag of a windower: the newest sample, and the held good value. */
export class WindowColumns {
  /** Time of the newest sample of any quality; -Infinity before the first. */
  readonly seenMs: Float64Array;
  /** Time and value of the newest good sample for the next row; -Infinity before the first. */
  readonly heldMs: Float64Array;
  readonly heldValues: Float32Array;
  /** Reason code of the newest sample; 0 if it was good. */
  readonly reasons: Uint8Array;

  constructor(columns: number) {
    this.seenMs = new Float64Array(columns);
    this.heldMs = new Float64Array(columns);
    this.heldValues = new Float32Array(columns);
    this.reasons = new Uint8Array(columns);
    this.clear();
  }

  clear(): void {
    this.seenMs.fill(-Infinity);
    this.heldMs.fill(-Infinity);
    this.reasons.fill(0);
  }

  record(column: number, timeMs: EpochMs, reason: number): void {
    if (timeMs < (this.seenMs[column] ?? Infinity)) return;
    this.seenMs[column] = timeMs;
    this.reasons[column] = reason;
  }

  /** Holds a good value unless a newer one is held. Of two with the same time, the later arrival counts. */
  hold(column: number, timeMs: EpochMs, value: number): void {
    if (timeMs < (this.heldMs[column] ?? Infinity)) return;
    this.heldMs[column] = timeMs;
    this.heldValues[column] = value;
  }

  /** Returns the held value for a row; NaN if there is none, or if it is older than `maxAgeMs`. */
  valueAt(column: number, rowMs: EpochMs, maxAgeMs: number): number {
    const ageMs = rowMs - (this.heldMs[column] ?? -Infinity);
    return ageMs <= maxAgeMs ? (this.heldValues[column] ?? Number.NaN) : Number.NaN;
  }

  /** Returns the time up to which every tag has a sample. */
  allSeenMs(): EpochMs {
    let allMs = Infinity;
    for (const seenMs of this.seenMs) if (seenMs < allMs) allMs = seenMs;
    return allMs;
  }

  /** Implements `ColumnExplanation`: 'no good value for 12 s (timeout)'. An arrow function, because it is passed as a value. */
  readonly explain = (column: number, timeMs: EpochMs): string => {
    const heldMs = this.heldMs[column] ?? -Infinity;
    const reason = this.reasons[column] ?? 0;
    const why = reason === 0 ? 'nothing was received' : reasonOf(reason);
    if (heldMs === -Infinity) return `no good value yet (${why})`;
    return `no good value for ${formatAge(timeMs - heldMs)} (${why})`;
  };
}

function formatAge(ageMs: number): string {
  if (ageMs < 10_000) return `${Math.round(ageMs / 100) / 10} s`;
  if (ageMs < 600_000) return `${Math.round(ageMs / 1000)} s`;
  return `${Math.round(ageMs / 60_000)} min`;
}

import type { EpochMs } from '../epoch-ms.ts';
import { reasonOf } from '../sample/quality.ts';

/** What a windower knows of each of its tags besides the rows: the newest sample, and the good value it holds. */
export class WindowColumns {
  /** Time of the newest sample of any quality; -Infinity before the first. */
  readonly seenMs: Float64Array;
  /** Time and value of the newest good sample that counts for the next row; -Infinity before the first. */
  readonly heldMs: Float64Array;
  readonly heldValues: Float32Array;
  /** Reason code of the newest sample; 0 where it was good. */
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

  see(column: number, timeMs: EpochMs, reason: number): void {
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

  /** The held value at a row's time; NaN where there is none young enough. */
  valueAt(column: number, rowMs: EpochMs, maxAgeMs: number): number {
    const ageMs = rowMs - (this.heldMs[column] ?? -Infinity);
    return ageMs <= maxAgeMs ? (this.heldValues[column] ?? Number.NaN) : Number.NaN;
  }

  /** Time up to which every tag has been seen. */
  allSeenMs(): EpochMs {
    let allMs = Infinity;
    for (const seenMs of this.seenMs) if (seenMs < allMs) allMs = seenMs;
    return allMs;
  }

  /** For an operator: 'no good value for 12 s (timeout)'. An arrow, so that it can be handed over as it is. */
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

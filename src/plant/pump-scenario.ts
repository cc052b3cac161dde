/** State of the pump as an operator names it. */
export type PumpPhase = 'normal' | 'bearing-wear' | 'cavitation' | 'recovering';

/** Length of each phase; the four phases repeat forever. */
export type PumpTimings = {
  readonly normalMs: number;
  /** The bearing wears from new to worn. */
  readonly bearingWearMs: number;
  /** The worn pump also cavitates: pressure and flow drop, and the bottles are underfilled. */
  readonly cavitationMs: number;
  /** Bearing replaced, strainer flushed: everything returns to normal. */
  readonly recoveringMs: number;
};

/** One round in 55 s: long enough for alarms to be raised, acknowledged and cleared; short enough to watch. */
export const demoTimings: PumpTimings = {
  normalMs: 25_000,
  bearingWearMs: 15_000,
  cavitationMs: 12_000,
  recoveringMs: 3_000,
};

/** Normal for longer than any run, and still a number that JSON can carry to another process. */
export const foreverNormal: PumpTimings = {
  normalMs: Number.MAX_SAFE_INTEGER,
  bearingWearMs: 0,
  cavitationMs: 0,
  recoveringMs: 0,
};

export type PumpCondition = {
  readonly phase: PumpPhase;
  /** 0 new – 1 worn. */
  readonly wear: number;
  /** 0 none – 1 fully cavitating. */
  readonly cavitation: number;
};

/** Share of the cavitation phase in which cavitation builds up. */
const ONSET = 0.4;

/** Returns the condition after a running time. */
export function pumpCondition(elapsedMs: number, timings: PumpTimings): PumpCondition {
  const { normalMs, bearingWearMs, cavitationMs, recoveringMs } = timings;
  let left = elapsedMs % (normalMs + bearingWearMs + cavitationMs + recoveringMs);
  if (left < normalMs) return { phase: 'normal', wear: 0, cavitation: 0 };
  left -= normalMs;
  if (left < bearingWearMs) return { phase: 'bearing-wear', wear: left / bearingWearMs, cavitation: 0 };
  left -= bearingWearMs;
  if (left < cavitationMs) {
    return { phase: 'cavitation', wear: 1, cavitation: Math.min(1, left / (cavitationMs * ONSET)) };
  }
  const remaining = 1 - (left - cavitationMs) / recoveringMs;
  return { phase: 'recovering', wear: remaining, cavitation: remaining };
}

/** How the pump stands: what an operator would say about it. */
export type PumpPhase = 'normal' | 'bearing-wear' | 'cavitation' | 'recovering';

/** How long each phase lasts; the four repeat for ever. */
export type PumpTimings = {
  readonly normalMs: number;
  /** The bearing wears from new to worn. */
  readonly bearingWearMs: number;
  /** The worn pump cavitates as well: pressure and flow break down, the bottles get too little. */
  readonly cavitationMs: number;
  /** Bearing changed, strainer flushed: everything goes back to normal. */
  readonly recoveringMs: number;
};

/** One round in 55 s: long enough that alarms come, are acknowledged and go; short enough to watch. */
export const demoTimings: PumpTimings = {
  normalMs: 25_000,
  bearingWearMs: 15_000,
  cavitationMs: 12_000,
  recoveringMs: 3_000,
};

/** Longer than anybody watches, and still a number that JSON can carry to another process. */
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

/** The condition after some time of running. */
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

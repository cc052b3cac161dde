import type { EpochMs } from '../epoch-ms.ts';
import type { Verdict } from './verdict.ts';

/**
 * State of a watch for people.
 * - normal, abnormal: the present verdict
 * - uncertain: the present verdict. Tags are missing, and the model found nothing abnormal in the others
 * - learning: no model is active yet
 * - unknown: no present verdict
 * - blind: no present verdict for so long that it is an alarm
 */
export const watchStates = ['normal', 'abnormal', 'uncertain', 'unknown', 'learning', 'blind'] as const;
type WatchState = (typeof watchStates)[number];

/** Shortest age at which a verdict is too old, so that a short delay of the agent changes no state, ms. */
const STALE_MS_MIN = 2_000;

export type WatchFacts = {
  readonly isLearning: boolean;
  /** The last verdict, or an unknown one with the reason why there is none. */
  readonly last: Pick<Verdict, 'verdict' | 'reason'>;
  /** Time since the last verdict arrived, ms. */
  readonly ageMs: number;
  /** Time between two verdicts, ms. */
  readonly hopMs: number;
  /** Tag of the watch that has no value now, with its reason; undefined if all have one. */
  readonly missing: string | undefined;
  /** Time since a window was judged or came closer to being full, ms. */
  readonly unjudgedMs: number;
  /** Time without a verdict after which a watch is blind, ms. */
  readonly blindAfterMs: number;
};

/** State of a watch with its reason; undefined for a normal one, and for an abnormal one without missing tags. */
export type WatchCondition = {
  readonly state: WatchState;
  readonly reason: string | undefined;
  /** Begin of the state. */
  readonly sinceMs: EpochMs;
  /** Time of the last window that was judged; undefined if none was since the start. */
  readonly judgedMs: EpochMs | undefined;
};

/** Returns the state of a watch. A verdict counts for two hops. */
export function watchState(facts: WatchFacts): Pick<WatchCondition, 'state' | 'reason'> {
  const { isLearning, last, unjudgedMs, blindAfterMs } = facts;
  if (isLearning) return { state: 'learning', reason: undefined };
  const reason = whyUnknown(facts);
  if (last.verdict !== 'unknown' && reason === undefined) return { state: last.verdict, reason: last.reason };
  return { state: unjudgedMs >= blindAfterMs ? 'blind' : 'unknown', reason: reason ?? last.reason };
}

/** Returns why the last verdict does not hold; undefined if it does. */
function whyUnknown({ last, ageMs, hopMs, missing }: WatchFacts): string | undefined {
  if (last.verdict === 'unknown') return last.reason;
  if (missing !== undefined) return missing;
  const limitMs = Math.max(2 * hopMs, STALE_MS_MIN);
  return ageMs > limitMs ? `no verdict for more than ${Math.round(limitMs / 1000)} s` : undefined;
}

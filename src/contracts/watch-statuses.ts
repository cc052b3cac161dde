import type { AlarmState } from '../domain/alarm/alarm.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';
import type { TagReading } from './live-events.ts';
import type { RolloutOverview } from './rollout-statuses.ts';

/** Overview of a watch for users: its binding and its state. */
export type WatchOverview = {
  readonly watch: string;
  readonly model: string;
  /** ISA-95 location of the machine; undefined if it is that of the agent. */
  readonly location: string | undefined;
  /** Abnormal side of the threshold; undefined while no model is ready. */
  readonly abnormal: 'above' | 'below' | undefined;
  readonly tags: readonly TagReading[];
  /** Smallest and largest value of each tag in normal operation, as the model has them; undefined for none. */
  readonly normalRanges: readonly (readonly [number, number] | undefined)[];
  readonly stepMs: number | 'scan';
  readonly hopMs: number | 'scan';
  readonly alarmState: AlarmState | undefined;
  readonly lastVerdict: Verdict | undefined;
  /** Population stability index by tag, and by 'score', over the last drift period; empty before it ended. */
  readonly drift: ReadonlyMap<string, number>;
  /** Undefined if no versions are compared on it. */
  readonly rollout: RolloutOverview | undefined;
};

export interface WatchStatuses {
  watches(): readonly WatchOverview[];
  tags(): readonly TagReading[];
}

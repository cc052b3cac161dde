/** Levels of a tag's limits, with the names of the configuration. */
export const limitLevels = ['highHigh', 'high', 'low', 'lowLow', 'rateOfChange'] as const;
export type LimitLevel = (typeof limitLevels)[number];

/** One limit of a tag. */
export type LimitRule = {
  readonly level: LimitLevel;
  /** Set point, in the unit of the tag; of `rateOfChange`, in its unit per second. */
  readonly at: number;
  /** Distance from the set point, on the normal side, that the value must reach to be normal again; 0 or more. */
  readonly deadband: number;
};

/**
 * Returns whether a value is beyond a limit. The limit itself is normal.
 *
 * @param value In the unit of the limit: of `rateOfChange`, the absolute change per second.
 * @param wasAbnormal True if the last value was beyond it: then the deadband applies.
 */
export function isBeyond(value: number, { level, at, deadband }: LimitRule, wasAbnormal: boolean): boolean {
  const back = wasAbnormal ? deadband : 0;
  return level === 'low' || level === 'lowLow' ? value < at + back : value > at - back;
}

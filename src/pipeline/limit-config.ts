import * as z from 'zod';
import { alarmPriorities } from '../domain/alarm/alarm.ts';
import type { LimitLevel, LimitRule } from '../domain/alarm/limit-rule.ts';
import { configObject, duration } from '../platform/config-fields.ts';
import { suppressWhenSchema } from './watch-config.ts';

const PER_SECONDS = { s: 1, min: 60, h: 3600 } as const;
const ratePattern = /^(\d+(?:\.\d+)?)\/(s|min|h)$/;

const priority = z.enum(alarmPriorities);
const delays = {
  deadband: z
    .number()
    .min(0)
    .optional()
    .describe('Distance from the limit that the value must reach to be normal again'),
  onDelay: duration('How long the value must be beyond the limit before the alarm is raised').optional(),
  offDelay: duration('How long the value must be normal before the alarm clears').optional(),
  priority: priority.optional().describe('Alarm priority'),
};

/** A set point: a number, or with settings of its own. */
const level = (description: string) =>
  z
    .union([z.number(), configObject({ at: z.number().describe('Set point, in the unit of the tag'), ...delays })])
    .optional()
    .describe(description);

const rate = z
  .string()
  .regex(ratePattern, { error: 'expected a change and a time, such as 2/s, 10/min or 30/h' })
  .transform((text): number => {
    const [, amount = '', unit = 's'] = ratePattern.exec(text) ?? [];
    return Number(amount) / PER_SECONDS[unit as keyof typeof PER_SECONDS];
  });

/** One entry of `limits:`: the limits of one tag, each an alarm of its own. */
export const limitsSchema = configObject({
  highHigh: level('Upper limit of danger'),
  high: level('Upper limit'),
  low: level('Lower limit'),
  lowLow: level('Lower limit of danger'),
  rateOfChange: z
    .union([rate, configObject({ at: rate.describe('Largest change, such as 2/s, 10/min or 30/h'), ...delays })], {
      error: 'expected a change and a time, such as 2/s',
    })
    .optional()
    .describe('Largest change of the value, such as 2/s, 10/min or 30/h, up or down'),
  ...delays,
  suppressWhen: suppressWhenSchema.optional().describe('State of the plant in which the limits have no meaning'),
  maxAge: duration('How long a value counts without a new one', { minMs: 1000 })
    .prefault('1h')
    .describe(
      'How long a value counts without a new one. Then the limits are not watched, which is an alarm of its own',
    ),
  outOfService: z.boolean().default(false).describe('Out of service: no alarm is raised'),
});

export type LimitsConfig = z.infer<typeof limitsSchema>;

/** A limit with its settings: those of the level, else those of the tag, else the defaults. */
export type ConfiguredLimit = LimitRule & {
  readonly onDelayMs: number;
  readonly offDelayMs: number;
  readonly priority: z.infer<typeof priority>;
};

/** Returns the limits of a tag, most urgent first. */
export function limitsOf(limits: LimitsConfig): readonly ConfiguredLimit[] {
  const levels: readonly (readonly [LimitLevel, LimitsConfig[LimitLevel]])[] = [
    ['highHigh', limits.highHigh],
    ['high', limits.high],
    ['low', limits.low],
    ['lowLow', limits.lowLow],
    ['rateOfChange', limits.rateOfChange],
  ];
  return levels.flatMap(([name, value]) => {
    if (value === undefined) return [];
    const own = typeof value === 'number' ? { at: value } : value;
    const settings = { deadband: 0, onDelayMs: 0, offDelayMs: 0, priority: 'medium', ...withoutGaps(limits) } as const;
    // The deadband of the tag is in the unit of the tag, not of the rate.
    const isRate = name === 'rateOfChange';
    const {
      deadband,
      onDelayMs,
      offDelayMs,
      priority: urgency,
    } = {
      ...settings,
      ...(isRate ? { deadband: 0 } : {}),
      ...withoutGaps(own),
    };
    return [{ level: name, at: own.at, deadband, onDelayMs, offDelayMs, priority: urgency }];
  });
}

type Settings = Partial<Pick<ConfiguredLimit, 'deadband' | 'onDelayMs' | 'offDelayMs' | 'priority'>>;

/** Returns the settings that are given. */
function withoutGaps({ deadband, onDelayMs, offDelayMs, priority: urgency }: Settings): Settings {
  return {
    ...(deadband === undefined ? {} : { deadband }),
    ...(onDelayMs === undefined ? {} : { onDelayMs }),
    ...(offDelayMs === undefined ? {} : { offDelayMs }),
    ...(urgency === undefined ? {} : { priority: urgency }),
  };
}

import * as z from 'zod';
import { alarmPriorities } from '../../domain/alarm/alarm.ts';

/** Returns a field that takes one value or a list of them. */
export function oneOrMore<const Values extends readonly [string, ...string[]]>(values: Values) {
  const one = z.enum(values);
  return z
    .union([one, z.array(one).min(1)], { error: `expected one of ${values.join(', ')}, or a list of them` })
    .transform((value) => (Array.isArray(value) ? value : [value]));
}

/** Fields of a choice of alarms, for outputs and notifications. */
export const alarmSelectionFields = {
  watches: z.array(z.string().min(1)).default([]).describe('Watches whose alarms are chosen'),
  alarms: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'Ids of further alarms, such as limit/pump-1.pressure/high. * at the end stands for any text. Without watches and alarms, all alarms are chosen',
    ),
  priority: oneOrMore(alarmPriorities).default([]).describe('Only alarms of these priorities. Default: of all'),
};

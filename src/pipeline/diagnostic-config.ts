import * as z from 'zod';
import { alarmPriorities } from '../domain/alarm/alarm.ts';
import { configObject, duration } from '../platform/config-fields.ts';

/** `alarms.diagnostic`. */
export const diagnosticSchema = z
  .union([
    z.literal('off'),
    configObject({
      after: duration('How long a component is in trouble before its alarm is raised', { minMs: 1000 }).prefault('30s'),
      priority: z.enum(alarmPriorities).default('low').describe('Alarm priority'),
    }),
  ])
  .prefault({})
  .describe(
    'Alarms for blindness: a source that is down, a watch that cannot judge, a store, an uplink, a tag with limits without a good value',
  );

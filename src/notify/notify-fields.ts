import * as z from 'zod';
import { alarmSelectionFields } from '../contracts/outputs/alarm-selection-fields.ts';
import { weekdays } from '../domain/notify/shift-schedule.ts';
import { isTimeZone } from '../domain/time-zone.ts';
import { configObject, duration } from '../platform/config-fields.ts';

const clockTime = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, { error: 'expected a time of day such as 06:00' })
  .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));

const shiftSchema = configObject({
  days: z
    .array(z.enum(weekdays))
    .min(1)
    .default([...weekdays])
    .describe('Days on which the shift begins'),
  from: clockTime.describe('Begin, local time'),
  to: clockTime.describe('End, local time; on the next day if it is not after from'),
});

const scheduleSchema = configObject({
  timeZone: z
    .string()
    .refine(isTimeZone, { error: 'expected a time zone such as Europe/Paris' })
    .describe('Time zone of the shifts'),
  shifts: z.array(shiftSchema).min(1).describe('Times in which the channel sends'),
}).describe(
  'When the channel sends. An alarm that is raised outside waits for the next shift, and is sent if it is still not acknowledged. Default: always',
);

/** Fields of every channel. Each kind adds them to its own object. */
export const notifyFields = {
  on: configObject({
    ...alarmSelectionFields,
    returns: z.boolean().default(false).describe('true: the return of an alarm that was sent is a message, too'),
  })
    .prefault({})
    .describe('Alarms that are sent. Default: all'),
  escalateAfter: duration(
    'An alarm is sent if it is still not acknowledged after this time, for a second line. Default: immediately',
    { maxMs: 7 * 86_400_000 },
  ).prefault('0s'),
  cooldown: duration(
    'Shortest time between two delivered messages about the same alarm. If it is raised again within it, it is sent afterwards, unless it was acknowledged',
    { maxMs: 7 * 86_400_000 },
  ).prefault('10m'),
  group: configObject({
    wait: duration('Wait for further alarms, which then are one message', { maxMs: 3_600_000 }).prefault('5s'),
    max: z.int().min(1).max(50).default(10).describe('Most alarms that a message lists. Further ones are counted'),
  })
    .prefault({})
    .describe('Several alarms in one message'),
  maxAge: duration('A message that could not be sent for longer becomes part of one summary', {
    minMs: 1_000,
  }).prefault('1h'),
  schedule: scheduleSchema.optional(),
  link: z
    .url({ protocol: /^https?$/, error: 'expected a URL such as https://edge-01.plant:8443' })
    .optional()
    .describe(
      'URL of this agent as a reader opens it. Messages link to its alarm page, which acknowledges nothing by itself',
    ),
  timeout: duration('Longest time of one attempt', { minMs: 100, maxMs: 600_000 }).prefault('30s'),
  retry: configObject({
    first: duration('Longest wait before the second attempt; it doubles with each further attempt', {
      minMs: 10,
    }).prefault('5s'),
    max: duration('Longest wait between attempts. The number of attempts is not limited', { minMs: 10 }).prefault('5m'),
  })
    .prefault({})
    .describe('Waits after a message was not accepted'),
};

const anyChannel = configObject(notifyFields);

/** Parsed common fields. */
export type NotifyFields = z.infer<typeof anyChannel>;

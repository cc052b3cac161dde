import * as z from 'zod';
import { alarmSelectionFields, oneOrMore } from '../contracts/outputs/alarm-selection-fields.ts';
import { configObject, duration } from '../platform/config-fields.ts';

const HOUR_MS = 3_600_000;

const onSchema = configObject({
  ...alarmSelectionFields,
  state: oneOrMore(['unacknowledged', 'acknowledged', 'returned-unacknowledged'])
    .default(['unacknowledged', 'acknowledged'])
    .describe('States of an alarm in which the output is on'),
  monitoring: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('On while each of these watches judges, in place of alarms: off as soon as andon is blind'),
  heartbeat: duration(
    'Counts from 1 to 32767 in this interval, in place of alarms: the device notices when andon ends',
    {
      minMs: 100,
      maxMs: HOUR_MS,
    },
  ).optional(),
}).superRefine((on, context) => {
  const given = [
    ...(on.monitoring === undefined ? [] : ['monitoring']),
    ...(on.heartbeatMs === undefined ? [] : ['heartbeat']),
    ...(on.watches.length + on.alarms.length + on.priority.length === 0 ? [] : ['watches, alarms and priority']),
  ];
  if (given.length === 1) return;
  const found = given.length === 0 ? 'none is given' : `found ${given.join(' and ')}`;
  context.addIssue({
    code: 'custom',
    message: `an output follows alarms (watches, alarms, priority), monitoring or a heartbeat: ${found}`,
  });
});

/** Fields of every output. Each kind adds them to its own object. */
export const outputFields = {
  on: onSchema.describe('What the output follows'),
  blink: duration('Time of each half of a blinking output while it is on. Default: steady', {
    minMs: 100,
    maxMs: HOUR_MS,
  }).optional(),
  refresh: z
    .union([z.literal('never'), duration('', { minMs: 100, maxMs: HOUR_MS })], {
      error: 'expected never or a duration from 100ms to 1h',
    })
    .prefault('10s')
    .describe('Time after which the same value is written again. It must be shorter than the watchdog of the device'),
  rateLimit: duration('Shortest time between two changes. The safe value is written without this wait', {
    maxMs: HOUR_MS,
  }).prefault('200ms'),
  timeout: duration('Longest time of a write', { minMs: 10, maxMs: 60_000 }).prefault('1s'),
  retry: configObject({
    first: duration('Longest wait before the second attempt; it doubles with each further attempt', {
      minMs: 10,
    }).prefault('200ms'),
    max: duration('Longest wait between attempts. The number of attempts is not limited', { minMs: 10 }).prefault('5s'),
  })
    .prefault({})
    .describe('Waits after a write that failed'),
  dryRun: z
    .boolean()
    .default(true)
    .describe('true: each command is recorded, and nothing is written. Set it to false when the wiring is tested'),
};

const anyOutput = configObject(outputFields);

/** Parsed common fields. `heldBecause` is set if the file may not switch anything. */
export type OutputFields = z.infer<typeof anyOutput> & { readonly heldBecause?: string | undefined };

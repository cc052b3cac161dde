import * as z from 'zod';
import { configObject, duration } from '../platform/config-fields.ts';
import { checkMqttConfig, mqttFields } from '../protocols/mqtt/mqtt-config.ts';

/** `publish:` of the configuration. */
export const publishSchema = configObject({
  type: z.literal('mqtt'),
  ...mqttFields,
  tags: z
    .union([z.boolean(), z.array(z.string().min(1))], { error: 'expected true, false or a list of tags' })
    .default(false)
    .describe('Tags whose values are published on …/tag/<tag>: true for all, or their names'),
  publishTimeout: duration('How long the broker may take to acknowledge a message', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('10s'),
})
  .superRefine(checkMqttConfig)
  .describe('Broker on which local subscribers hear verdicts, alarms and the state of the agent');

/** Durations in milliseconds. */
export type PublishConfig = z.infer<typeof publishSchema>;

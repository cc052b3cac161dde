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
    .describe('Tags that are published on …/tag/<tag>: true for all, or a list of names'),
  tagInterval: duration(
    'Shortest time between two messages of a tag. The newest value is sent; values in between are not. An uplink with sample records has every value',
    { minMs: 50, maxMs: 3_600_000 },
  ).prefault('500ms'),
  retain: z
    .boolean()
    .default(true)
    .describe(
      'false: states and alarms are not retained, for a broker without retained messages. A later subscriber then waits for the next change',
    ),
  publishTimeout: duration('Longest wait for the broker to acknowledge a message', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('10s'),
})
  .superRefine(checkMqttConfig)
  .describe('Broker for local subscribers. Verdicts, alarms and the state of the agent are published on it');

/** Parsed `publish:`. */
export type PublishConfig = z.infer<typeof publishSchema>;

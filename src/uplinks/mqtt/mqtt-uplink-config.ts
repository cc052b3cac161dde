import * as z from 'zod';
import { configObject, duration } from '../../platform/config-fields.ts';
import { checkMqttConfig, mqttFields, mqttString } from '../../protocols/mqtt/mqtt-config.ts';
import { uplinkFields } from '../uplink-fields.ts';

export const mqttUplinkSchema = configObject({
  type: z.literal('mqtt'),
  ...mqttFields,
  topic: mqttString
    .regex(/^[^+#\0]+$/, { error: 'expected a topic without the wildcards + and #' })
    .optional()
    .describe('Topic of the batches. Default: andon/v1/<agent.id>/records'),
  retain: z.boolean().default(false).describe('true: the broker keeps the last batch for later subscribers'),
  publishTimeout: duration('Longest wait for the broker to acknowledge a batch', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('15s'),
  batchesInFlight: z
    .int()
    .min(1)
    .max(100)
    .default(20)
    .describe('Most batches that wait for an acknowledgement at a time. Their order is kept'),
  // Brokers in a cloud commonly take no more than 128 kB (AWS IoT Core) or 256 kB (Azure) a message.
  ...uplinkFields({ recordsMax: 100, bytesMax: '100kB', linger: '20ms' }),
}).superRefine(checkMqttConfig);

/** Durations in milliseconds, sizes in bytes. */
export type MqttUplinkConfig = z.infer<typeof mqttUplinkSchema>;

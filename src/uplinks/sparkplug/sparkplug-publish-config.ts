import type * as z from 'zod';
import { configObject } from '../../platform/config-fields.ts';
import { checkMqttConfig, mqttFields, topicLevel } from '../../protocols/mqtt/mqtt-config.ts';

const { cleanSession: _notOfSparkplug, sessionExpiry: _norThis, ...sparkplugMqttFields } = mqttFields;

/** `sparkplug:` of the configuration. */
export const sparkplugPublishSchema = configObject({
  ...sparkplugMqttFields,
  group: topicLevel.describe('Group id'),
  edgeNode: topicLevel.describe('Edge node id. Default: agent.id').optional(),
})
  .superRefine((config, context) => checkMqttConfig({ ...config, ...CLEAN }, context))
  .describe(
    "Broker for Sparkplug hosts. Verdicts and alarms are published as metrics of an edge node, such as '<watch>/Verdict'",
  );

/** Parsed `sparkplug:`. */
export type SparkplugPublishConfig = z.infer<typeof sparkplugPublishSchema>;

/** An edge node starts a new session with each connection. @see Sparkplug 3.0, section 5.4. */
export const CLEAN = { cleanSession: true, sessionExpiryMs: 0 } as const;

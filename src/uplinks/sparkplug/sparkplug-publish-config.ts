import * as z from 'zod';
import { configObject } from '../../platform/config-fields.ts';
import { checkMqttConfig, mqttFields, topicLevel } from '../../protocols/mqtt/mqtt-config.ts';

const { cleanSession: _notOfSparkplug, sessionExpiry: _norThis, ...sparkplugMqttFields } = mqttFields;

/** `sparkplug:` of the configuration. */
export const sparkplugPublishSchema = configObject({
  ...sparkplugMqttFields,
  group: topicLevel.describe('Group id'),
  edgeNode: topicLevel.describe('Edge node id. Default: agent.id').optional(),
  tags: z
    .union([z.boolean(), z.array(z.string().min(1))], { error: 'expected true, false or a list of tags' })
    .default(false)
    .describe(
      "Tags that are published as metrics of devices: true for all, or a list of names. 'pump-1.pressure' is the metric 'pressure' of the device 'pump-1'; a name without a point is a metric of the device 'tags'",
    ),
})
  .superRefine((config, context) => checkMqttConfig({ ...config, ...CLEAN }, context))
  .describe(
    "Broker for Sparkplug hosts. Verdicts and alarms are published as metrics of an edge node, such as '<watch>/Verdict', and tags as metrics of its devices",
  );

/** Parsed `sparkplug:`. */
export type SparkplugPublishConfig = z.infer<typeof sparkplugPublishSchema>;

/** An edge node starts a new session with each connection. @see Sparkplug 3.0, section 5.4. */
export const CLEAN = { cleanSession: true, sessionExpiryMs: 0 } as const;

import * as z from 'zod';
import { configObject } from '../../platform/config-fields.ts';
import { checkMqttConfig, mqttFields, topicLevel } from '../../protocols/mqtt/mqtt-config.ts';

const { cleanSession: _notOfSparkplug, sessionExpiry: _norThis, ...sparkplugMqttFields } = mqttFields;

/** `sparkplug:` of the configuration. */
export const sparkplugPublishSchema = configObject({
  ...sparkplugMqttFields,
  group: topicLevel.describe('Group id'),
  primaryHost: topicLevel
    .describe(
      'Id of the primary host application. Without it, andon publishes to any host. With it, andon publishes only while `spBv1.0/STATE/<id>` is online, and keeps changes meanwhile',
    )
    .optional(),
  keep: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(100_000)
    .describe(
      'Number of changes of metrics that are kept in memory while the primary host or the broker is away (100 B to 200 B each). They are sent later as historical. If more are waiting, the oldest are dropped. Only with primaryHost',
    ),
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

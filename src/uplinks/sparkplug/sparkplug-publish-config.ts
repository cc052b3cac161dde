import * as z from 'zod';
import { configObject } from '../../platform/config-fields.ts';
import { checkMqttConfig, mqttFields } from '../../protocols/mqtt/mqtt-config.ts';

const level = (description: string) =>
  z
    .string()
    .regex(/^[^/+#\p{Cc}]+$/u, { error: 'expected a name without /, + and #' })
    .describe(description);

const { cleanSession: _notOfSparkplug, sessionExpiry: _norThis, ...sparkplugMqttFields } = mqttFields;

/** `sparkplug:` of the configuration. */
export const sparkplugPublishSchema = configObject({
  ...sparkplugMqttFields,
  group: level('Group id'),
  edgeNode: level('Edge node id. Default: agent.id').optional(),
})
  .superRefine((config, context) => checkMqttConfig({ ...config, ...CLEAN }, context))
  .describe(
    "Broker for Sparkplug hosts. Verdicts and alarms are published as metrics of an edge node, such as '<watch>/Verdict'",
  );

/** Parsed `sparkplug:`. */
export type SparkplugPublishConfig = z.infer<typeof sparkplugPublishSchema>;

/** An edge node starts a new session with each connection. @see Sparkplug 3.0, section 5.4. */
export const CLEAN = { cleanSession: true, sessionExpiryMs: 0 } as const;

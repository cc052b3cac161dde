import * as z from 'zod';
import { configObject, duration } from '../../platform/config-fields.ts';
import { checkMqttConfig, mqttFields, mqttString } from '../../protocols/mqtt/mqtt-config.ts';
import { outputFields } from '../output-fields.ts';

/** `outputs.<id>` of type mqtt. */
export const mqttOutputSchema = configObject({
  type: z.literal('mqtt'),
  ...mqttFields,
  protocolVersion: z
    .literal(['5', 5], { error: 'expected 5: only MQTT 5 lets a command expire' })
    .default('5')
    .describe('MQTT version. Only version 5 lets a command expire'),
  topic: mqttString
    .refine((topic) => !/[+#\0]/.test(topic), { error: 'expected a topic without + and #' })
    .describe('Topic of the command. It is sent with QoS 1 and never retained'),
  values: configObject({
    on: z.string().default('on').describe('Payload while it is on'),
    off: z.string().default('off').describe('Payload while it is off'),
  })
    .prefault({})
    .describe('Payloads of the command'),
  safe: z
    .string()
    .describe(
      'Payload at a stop, and while andon is blind, starts, or cannot store records; on and off stand for those of values. The broker publishes it if andon ends without a word (last will)',
    ),
  expiry: duration('Time after which the broker no longer delivers a command (message expiry interval)', {
    minMs: 1_000,
    maxMs: 86_400_000,
  }).prefault('30s'),
  ...outputFields,
}).superRefine((config, context) => {
  checkMqttConfig({ ...config, protocolVersion: '5' }, context);
  const { on, off } = config.values;
  if (on === off)
    context.addIssue({
      code: 'custom',
      path: ['values', 'on'],
      message: `on and off are both '${on}': the output would never change`,
    });
});

/** Parsed configuration of an MQTT output. */
export type MqttOutputConfig = z.infer<typeof mqttOutputSchema> & { readonly heldBecause?: string | undefined };

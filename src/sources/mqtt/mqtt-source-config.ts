import * as z from 'zod';
import type { TagDefinition } from '../../domain/tag.ts';
import { duration } from '../../platform/config-fields.ts';
import { checkMqttConfig, mqttFields } from '../../platform/mqtt-config.ts';
import { parseJsonPath } from './json-path.ts';

const jsonPath = (description: string) =>
  z
    .string()
    .refine((text) => parseJsonPath(text) !== undefined, {
      error: 'expected a path to one value, such as $.rms or $.motor.currents[0]',
    })
    .describe(description);

const tagSchema = z.strictObject({
  topic: z
    .string()
    .min(1)
    .max(65_535)
    .regex(/^[^+#]*$/, { error: 'a tag reads one topic: + and # are not allowed' })
    // oxlint-disable-next-line no-control-regex -- These are what it keeps out.
    .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, { error: 'a topic has no control characters' })
    .describe('Topic that carries the value; several tags may read the same one'),
  value: jsonPath('Where the value is in a JSON payload, such as $.rms; absent: the payload is the value').optional(),
  time: jsonPath(
    'Where the time is in a JSON payload: epoch milliseconds, or ISO 8601 with a zone; absent: the time of arrival',
  ).optional(),
  qos: z
    .union([z.literal(0), z.literal(1)])
    .default(1)
    .describe('0 at most once, 1 at least once'),
  unit: z.string().default('').describe('Engineering unit, for people'),
  range: z
    .tuple([z.number(), z.number()])
    .refine(([low, high]) => low < high, { error: 'the first number must be the smaller one' })
    .optional()
    .describe('Believable values in engineering units; one outside is uncertain'),
  deadband: z.number().min(0).default(0).describe('Smallest change worth reporting, in engineering units'),
  scale: z.number().default(1).describe('Factor from the payload to engineering units'),
  offset: z.number().default(0).describe('Added after scale, in engineering units'),
});

/** A source of type mqtt: tags bound to topics of one broker. */
export const mqttSourceSchema = z
  .strictObject({
    type: z.literal('mqtt'),
    ...mqttFields,
    futureTolerance: duration(
      'How far ahead of our clock a time in a payload may be; one further ahead is uncertain and stamped at arrival',
    ).prefault('5s'),
    tags: z
      .record(z.string().min(1), tagSchema)
      .refine((tags) => Object.keys(tags).length > 0, { error: 'a source needs at least one tag' })
      .describe('Tags by name'),
  })
  .superRefine(checkMqttConfig);

export type MqttSourceConfig = z.infer<typeof mqttSourceSchema>;

export function mqttTagDefinitions(config: MqttSourceConfig): readonly TagDefinition[] {
  return Object.entries(config.tags).map(([name, { unit, range, deadband }]) => ({ name, unit, range, deadband }));
}

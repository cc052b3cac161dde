import * as z from 'zod';
import { parseTagTemplate, placesOf } from '../../domain/sample/tag-template.ts';
import { configObject, duration } from '../../platform/config-fields.ts';
import { checkMqttConfig, mqttFields, mqttString, topicLevel } from '../../protocols/mqtt/mqtt-config.ts';
import { timeUnits } from '../../domain/time-unit.ts';
import { isTimeZone } from '../../domain/time-zone.ts';
import { qualityCodes } from '../quality-code.ts';
import { checkHasTags, patternFields, sourceFields, tagFields, tagMap, textFields } from '../tag-fields.ts';
import { waveformFields, waveformProblems } from '../waveform-fields.ts';
import { compileValuePath } from './json-path.ts';
import { parseTopicPattern, placesOfTopic } from './topic-pattern.ts';

const jsonPath = (description: string) =>
  z
    .string()
    .superRefine((text, context) => {
      const path = compileValuePath(text);
      if (typeof path !== 'string') return;
      const message = `expected a JSONPath such as $.rms, $.motor.currents[0] or $.s[?@.id=='t'].v: ${path}`;
      context.addIssue({ code: 'custom', message });
    })
    .describe(description);

const topicText = mqttString
  // oxlint-disable-next-line no-control-regex -- The pattern excludes them.
  .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, { error: 'must not contain control characters' });

const readingFields = {
  format: z
    .enum(['paths', 'uns'])
    .default('paths')
    .describe(
      'Payload format. uns: {"value","timestamp_ms","quality"} of a unified namespace (value: $.value, time: $.timestamp_ms, quality: $.quality). paths: the paths in value, time and quality',
    ),
  samples: jsonPath(
    'Path to a list of samples in a JSON payload, such as $.samples. value, time and quality are then relative to each element: $.v, or $[1] if an element is a list',
  ).optional(),
  value: jsonPath(
    'Path to the value in a JSON payload, such as $.rms. Default: the whole payload is the value',
  ).optional(),
  missing: z
    .enum(['keep', 'bad'])
    .default('bad')
    .describe(
      'What a JSON payload without the value, or with null, means. bad: the tag is bad. keep: the tag keeps its value, for senders that send only what changed',
    ),
  time: jsonPath(
    'Path to the time in a JSON payload: an epoch time, or a date and time with a zone. Default: the time of arrival, even for a message that the broker stored while andon was disconnected',
  ).optional(),
  timeUnit: z
    .enum(timeUnits)
    .optional()
    .describe(
      'Unit of times that are numbers. s, ms, us, ns: since 1970; filetime: 100 ns since 1601; excel: days since 1899-12-30, local time; wincc: Excel days times 1,000,000. Default: s, ms, us, ns or filetime, whichever makes it a time from 2000 to 2064',
    ),
  timeZone: z
    .string()
    .refine(isTimeZone, { error: 'expected a time zone such as Europe/Berlin or UTC' })
    .optional()
    .describe('Time zone of times without one, such as Europe/Berlin. Default: such a time is not accepted'),
  quality: jsonPath(
    'Path to the quality in a JSON payload: good, uncertain or bad, also as Good_…, GoodNoData or OK; true or false; an OPC UA status code, also as {Code, Symbol}; or an OPC DA quality. Default: good, also if the payload has no quality',
  ).optional(),
  qualityCodes: z
    .enum(qualityCodes)
    .optional()
    .describe(
      'Meaning of quality numbers below 65,536. opcua: the top two bits of 32, 0 is good. opcda: bits 6 and 7, 0 is bad and 192 is good. flag: 0 is bad and 1 is good. Default: opcua if the name at the path contains status or code, flag if it contains valid or good, otherwise opcda. A name such as fault or QualityCode does not tell: then such numbers are uncertain',
    ),
  qos: z
    .union([z.literal(0), z.literal(1)])
    .default(1)
    .describe('QoS of the subscription: 0 at most once, 1 at least once'),
  ...textFields,
  ...tagFields,
} as const;

/** Rules to read a value from the payload of a topic. */
export type MqttReading = z.infer<typeof readingSchema>;
const readingSchema = configObject(readingFields);

const tagSchema = configObject({
  topic: topicText
    .regex(/^[^+#]*$/, { error: 'must be one topic, without + and #; for several topics use patterns' })
    .describe('Topic of the value. Several tags may read the same topic'),
  type: z
    .enum(['number', 'waveform'])
    .default('number')
    .describe(
      'number: one value. waveform: a list of samples that were taken at sampleRate; its features become tags (docs/vibration.md)',
    ),
  ...readingFields,
  ...waveformFields,
})
  .superRefine(checkReading)
  .superRefine((tag, context) => {
    for (const { path, message } of waveformProblems(tag, tag.type === 'waveform'))
      context.addIssue({ code: 'custom', path: [...path], message });
    if (tag.type === 'waveform' && (tag.samples !== undefined || tag.missing === 'keep'))
      context.addIssue({
        code: 'custom',
        path: [tag.samples === undefined ? 'missing' : 'samples'],
        message: 'a waveform is one list of numbers, at the path in value',
      });
  });

const patternSchema = configObject({
  topic: topicText
    .refine((text) => parseTopicPattern(text) !== undefined, {
      error: 'expected a topic with levels of text, + or {place}, each place once, such as acme/+/{asset}/{name}',
    })
    .describe(
      'Topics of the values. + matches any level; {name} matches any level and puts its text into the tag name',
    ),
  ...patternFields,
  ...readingFields,
})
  .superRefine(checkReading)
  .superRefine(({ topic, tag }, context) => {
    const places = new Set(placesOfTopic(parseTopicPattern(topic) ?? []));
    const unknown = placesOf(parseTagTemplate(tag) ?? []).filter((place) => !places.has(place));
    for (const place of unknown)
      context.addIssue({ code: 'custom', path: ['tag'], message: `the topic does not have the place {${place}}` });
  });

/** Source of type mqtt: tags bound to topics of one broker. */
export const mqttSourceSchema = configObject({
  type: z.literal('mqtt'),
  ...mqttFields,
  ...sourceFields,
  sharedGroup: topicLevel
    .optional()
    .describe(
      'Subscribes as $share/<group>/<topic>. The broker sends each message to one member of the group, and no retained messages',
    ),
  acknowledge: z
    .enum(['received', 'stored'])
    .default('received')
    .describe(
      'When a message is acknowledged. received: immediately. stored: after its samples are in the sample history (see history). stored requires cleanSession: false, and qos: 1 on the tags',
    ),
  futureTolerance: duration(
    "Longest that a payload time may be ahead of the agent's clock. A time more than 1 s ahead is replaced by the time of arrival; beyond this tolerance the value is also uncertain",
  ).prefault('5s'),
  tags: tagMap(tagSchema).default({}),
  patterns: z
    .record(z.string().min(1), patternSchema)
    .default({})
    .describe(
      'Patterns by id. Each creates tags from the topics that match it. A topic that a tag names is not matched',
    ),
})
  .superRefine(checkMqttConfig)
  .superRefine(checkHasTags)
  .superRefine(({ acknowledge, cleanSession }, context) => {
    if (acknowledge === 'received' || !cleanSession) return;
    const message =
      'stored requires cleanSession: false, because a broker repeats unacknowledged messages only in a stored session';
    context.addIssue({ code: 'custom', path: ['acknowledge'], message });
  });

/** Parsed configuration of an MQTT source. */
export type MqttSourceConfig = z.infer<typeof mqttSourceSchema>;

function checkReading(reading: MqttReading, context: z.RefinementCtx): void {
  const { format, samples, value, time, quality, missing } = reading;
  const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
  if (samples !== undefined && format === 'paths' && (value === undefined || time === undefined))
    issue('samples', 'samples requires value and time, the paths in each element');
  if (missing === 'keep' && format === 'paths' && value === undefined)
    issue('missing', 'missing: keep requires value, the path that a payload may lack');
  if (quality !== undefined && format === 'paths' && value === undefined)
    issue('quality', 'quality requires value: a payload that is the value itself has no quality');
}

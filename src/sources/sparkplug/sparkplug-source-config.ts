import * as z from 'zod';
import { parseTagTemplate, placesOf } from '../../domain/sample/tag-template.ts';
import { configObject, duration } from '../../platform/config-fields.ts';
import { checkMqttConfig, mqttFields } from '../../protocols/mqtt/mqtt-config.ts';
import { checkHasTags, patternFields, sourceFields, tagFields, tagMap, textFields } from '../tag-fields.ts';

const level = (description: string) =>
  z
    .string()
    .regex(/^[^/+#{}\p{Cc}]+$/u, { error: 'expected a name without /, + and #' })
    .describe(description);

const LEVEL_OR_PLACE = /^(\+|\{[A-Za-z_]\w*\}|[^/+#{}\p{Cc}]+)$/u;
const levelOrPlace = (description: string) =>
  z.string().regex(LEVEL_OR_PLACE, { error: 'expected a name, + or a {place}' }).describe(description);

const tagSchema = configObject({
  group: level('Group id'),
  edgeNode: level('Edge node id'),
  device: level('Device id. Default: a metric of the edge node itself').optional(),
  metric: z
    .string()
    .min(1)
    .describe(
      'Name of the metric as in the birth message, such as Pump/Pressure. A member of a template: Motor 1/Temp',
    ),
  ...textFields,
  ...tagFields,
});

const patternSchema = configObject({
  group: levelOrPlace('Group id, + for any, or a place such as {group}'),
  edgeNode: levelOrPlace('Edge node id, + for any, or a place such as {node}'),
  device: levelOrPlace(
    'Device id, + for any, or a place such as {device}. Default: metrics of the edge node itself',
  ).optional(),
  metric: z
    .string()
    .min(1)
    .regex(/^(\{[A-Za-z_]\w*\}|[^{}]+)$/, { error: 'expected the name of a metric, or a {place} for any' })
    .describe(
      "Name of the metric, or a place such as {metric} for any. '/' in the metric name becomes '.' in the tag name",
    ),
  ...patternFields,
  ...textFields,
  ...tagFields,
}).superRefine((pattern, context) => {
  const places = new Set(sparkplugPlaces(pattern));
  for (const place of placesOf(parseTagTemplate(pattern.tag) ?? []))
    if (!places.has(place))
      context.addIssue({ code: 'custom', path: ['tag'], message: `there is no place {${place}}` });
});

/** Source of type sparkplug: a host application that reads the edge nodes of one broker. */
export const sparkplugSourceSchema = configObject({
  type: z.literal('sparkplug'),
  ...mqttFields,
  ...sourceFields,
  hostId: level(
    'Host id. andon publishes its state on spBv1.0/STATE/<hostId>, for edge nodes that wait for their primary host. Default: none, and andon only subscribes',
  ).optional(),
  rebirth: z
    .boolean()
    .default(false)
    .describe(
      'true: andon requests a rebirth from an edge node at the start and after lost messages, at most every 30 s. A rebirth request is a write to the edge node. Without it, the tags stay bad until the edge node publishes its next birth',
    ),
  futureTolerance: duration(
    "Longest that the time of a metric may be ahead of the agent's clock. A time more than 1 s ahead is replaced by the time of arrival; beyond this tolerance the value is also uncertain",
  ).prefault('5s'),
  tags: tagMap(tagSchema).default({}),
  patterns: z
    .record(z.string().min(1), patternSchema)
    .default({})
    .describe(
      'Patterns by id. Each creates tags from the metrics that match it. A metric that a tag names is not matched',
    ),
})
  .superRefine(checkMqttConfig)
  .superRefine(checkHasTags);

/** Parsed configuration of a Sparkplug source. */
export type SparkplugSourceConfig = z.infer<typeof sparkplugSourceSchema>;
export type SparkplugPatternConfig = SparkplugSourceConfig['patterns'][string];

/** Returns the place that a field is, or undefined if it is a text or '+'. */
export function placeOf(text: string | undefined): string | undefined {
  return /^\{(\w+)\}$/.exec(text ?? '')?.[1];
}

function sparkplugPlaces({ group, edgeNode, device, metric }: SparkplugPatternConfig): readonly string[] {
  return [group, edgeNode, device, metric].flatMap((text) => placeOf(text) ?? []);
}

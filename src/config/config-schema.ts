import * as z from 'zod';
import { httpFields } from '../http/http-config.ts';
import { fleetConfigSchema } from '../fleet/fleet-config.ts';
import { movedHttpKeys, servingConfigSchema } from '../serving/serving-config.ts';
import { configObject, duration, locationField } from '../platform/config-fields.ts';
import { logLevels } from '../domain/log-level.ts';
import { modelsConfigSchema } from '../models/store/models-config.ts';
import { diagnosticSchema } from '../pipeline/diagnostic-config.ts';
import { limitsSchema } from '../pipeline/limit-config.ts';
import { outboxConfigSchema } from '../outbox/file/outbox-config.ts';
import { watchSchema, withModel } from '../pipeline/watch-config.ts';
import { auditConfigSchema } from '../registry/audit/audit-key.ts';
import { publishSchema } from '../uplinks/publish-config.ts';
import { sparkplugPublishSchema } from '../uplinks/sparkplug/sparkplug-publish-config.ts';
import { parseExpression } from '../pipeline/expression.ts';
import { tagFields } from '../sources/tag-fields.ts';
import { waveformsConfigSchema } from '../waveforms/waveform-config.ts';
import { notifyKinds, outputKinds, schemaOfKinds, sourceKinds, uplinkKinds } from './kinds.ts';

/** Longest id and tag name. They become topics, file names and metric labels. */
const NAME_LENGTH_MAX = 128;

/** Names become levels of MQTT topics and URL paths, in which '+', '#' and '/' have a meaning. */
const NAME_PATTERN = /^(?![$\s])[^+#/\p{Cc}]*[^+#/\s\p{Cc}]$/u;
export const NAME_EXPECTED =
  "expected a name of 1 to 128 characters without '+', '#', '/' and control characters, without '$' at the start and without a space at either end";

const nameSchema = z
  .string()
  .max(NAME_LENGTH_MAX, { error: NAME_EXPECTED })
  .regex(NAME_PATTERN, { error: NAME_EXPECTED });

/** Returns true if a tag name or id can be a level of an MQTT topic. */
export function isTopicSafeName(name: string): boolean {
  return nameSchema.safeParse(name).success;
}

const agentSchema = z
  .strictObject({
    id: nameSchema
      .describe(
        'Name of this agent, unique among all agents that send to the same receivers. Record ids and topics start with it',
      )
      .meta({ examples: ['edge-01'] }),
    location: locationField()
      .optional()
      .describe('Location of the agent, as ISA-95 enterprise/site/area/line')
      .meta({ examples: ['acme/lyon/filling/line-2'] }),
  })
  .describe('Identity of this agent');

/** Bounds the depth of an expression. */
const EXPRESSION_LENGTH_MAX = 1000;

const { unit, range, deadband, stuckAfter, stuckBand } = tagFields;

/** A tag that is calculated from other tags. */
const derivedSchema = configObject({
  expr: z
    .string()
    .min(1)
    .max(EXPRESSION_LENGTH_MAX)
    .superRefine((expr, context) => {
      const parsed = parseExpression(expr);
      if ('problem' in parsed) context.addIssue({ code: 'custom', message: parsed.problem });
    })
    .describe(
      "Expression over other tags, such as tag('ac.power_raw') * 10 ^ tag('ac.power_sf'). Operators + - * / % ^, comparisons, && || !, a ? b : c; functions abs, sqrt, exp, ln, log10, sin, cos, tan, atan2, min, max, round, floor, ceil, sign, bit, rate, integral. Quality is the worst of the tags, time the oldest",
    ),
  unit,
  range,
  deadband,
  stuckAfter,
  stuckBand,
});

const logSchema = z
  .strictObject({
    level: z.enum(logLevels).default('info').describe('Lowest level that is written'),
  })
  .prefault({})
  .describe('Log on standard output, one JSON object a line');

const reloadSchema = configObject({
  revertAfter: z
    .union([z.literal('never'), duration('Time that a part may take to work again', { minMs: 1_000 })], {
      error: 'expected never or a duration of 1s or more',
    })
    .prefault('30s')
    .describe(
      'A reload is reverted as a whole if a part that it ended or replaced worked before and is degraded or failed this long after it. never: a reload stays',
    ),
}).describe('Reload of this file (SIGHUP)');

/** The whole configuration. Each section is defined next to the code that it configures. */
export const configSchema = z.strictObject({
  agent: agentSchema,
  sources: z
    .record(nameSchema, schemaOfKinds(sourceKinds))
    .default({})
    .describe('Connections to devices and brokers, by id. A box that only serves models has none'),
  derived: z
    .record(nameSchema, derivedSchema)
    .default({})
    .describe('Tags that are calculated from other tags, by name. They are used like any tag'),
  models: modelsConfigSchema.prefault({}).describe('Model directory, execution, limits and model serving'),
  watches: z
    .record(nameSchema, watchSchema)
    .default({})
    .transform((watches) =>
      Object.fromEntries(Object.entries(watches).map(([id, watch]) => [id, withModel(id, watch)])),
    )
    .describe('Watches by id. A watch binds a model to tags and may raise an alarm'),
  limits: z
    .record(z.string().min(1), limitsSchema)
    .default({})
    .describe('Limits of tags, by tag. Each level is an alarm, without a model'),
  alarms: configObject({ diagnostic: diagnosticSchema }).prefault({}).describe('Alarms of the agent itself'),
  publish: publishSchema.optional(),
  sparkplug: sparkplugPublishSchema.optional(),
  outbox: outboxConfigSchema.prefault({}).describe('Store for records and samples on the box'),
  uplinks: z
    .record(nameSchema, schemaOfKinds(uplinkKinds))
    .default({})
    .describe(
      'Receivers of records, by id. Each has its own position in the outbox, so one that is down does not delay the others',
    ),
  outputs: z
    .record(nameSchema, schemaOfKinds(outputKinds))
    .default({})
    .meta({
      description:
        'Lamps, horns and commands that follow alarms, by id. An indication, never a safety function. Read from a local file that only root changes',
      // The configuration reader replaces the key by the outputs of the file.
      properties: {
        file: {
          type: 'string',
          description: 'YAML file with the outputs, relative to this file, in place of entries here',
        },
      },
    }),
  waveforms: waveformsConfigSchema,
  notify: z
    .record(nameSchema, schemaOfKinds(notifyKinds))
    .default({})
    .describe('Messages to people about alarms, by id of the channel: webhooks and emails'),
  http: configObject({ ...httpFields, ...movedHttpKeys })
    .prefault({})
    .describe('HTTP endpoint of the agent: health, metrics, alarms, management of models and dashboard'),
  serving: servingConfigSchema.optional(),
  fleet: fleetConfigSchema.optional(),
  audit: auditConfigSchema.prefault({}).describe('Audit logs of operators and models'),
  reload: reloadSchema.prefault({}),
  log: logSchema,
});

/** Parsed configuration: every default is set, and durations and sizes carry their unit (`timeoutMs`, `maxSizeBytes`). */
export type AgentConfig = z.infer<typeof configSchema>;

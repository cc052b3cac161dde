import * as z from 'zod';
import { httpFields } from '../http/http-config.ts';
import { movedHttpKeys, servingConfigSchema } from '../serving/serving-config.ts';
import { configObject } from '../platform/config-fields.ts';
import { logLevels } from '../platform/log.ts';
import { modelsConfigSchema } from '../models/store/models-config.ts';
import { outboxConfigSchema } from '../outbox/file/outbox-config.ts';
import { watchSchema } from '../pipeline/watch-config.ts';
import { publishSchema } from '../uplinks/publish-config.ts';
import { sparkplugPublishSchema } from '../uplinks/sparkplug/sparkplug-publish-config.ts';
import { schemaOfKinds, sourceKinds, uplinkKinds } from './kinds.ts';

/** Longest id and tag name: they become topics, file names and metric labels. */
const NAME_LENGTH_MAX = 128;

/** Names become levels of MQTT topics and paths of URLs: '+', '#' and '/' mean something there. */
const NAME_PATTERN = /^(?![$\s])[^+#/\p{Cc}]*[^+#/\s\p{Cc}]$/u;
export const NAME_EXPECTED =
  "expected a name of 1 to 128 characters that can stand in an MQTT topic: no '+', '#', '/' or control character, no '$' in front, no space at either end";

const nameSchema = z
  .string()
  .max(NAME_LENGTH_MAX, { error: NAME_EXPECTED })
  .regex(NAME_PATTERN, { error: NAME_EXPECTED });

/** Whether a tag or an id can be a level of an MQTT topic as it is. */
export function isTopicSafeName(name: string): boolean {
  return nameSchema.safeParse(name).success;
}

const agentSchema = z
  .strictObject({
    id: nameSchema
      .describe("The agent's name, unique upstream; the first part of every record's id and of its topics")
      .meta({ examples: ['edge-01'] }),
    location: z
      .string()
      .regex(/^[^+#/\p{Cc}]+(\/[^+#/\p{Cc}]+)*$/u, {
        error:
          "expected levels joined by '/', such as acme/lyon/filling/line-2, none of them empty and without '+' and '#'",
      })
      .optional()
      .describe('Where it stands, as ISA-95 enterprise/site/area/line')
      .meta({ examples: ['acme/lyon/filling/line-2'] }),
  })
  .describe('Who this agent is');

const logSchema = z
  .strictObject({
    level: z.enum(logLevels).default('info').describe('Least important lines that are written'),
  })
  .prefault({})
  .describe('Log lines on standard output, as JSON');

/** The whole configuration; each section is described beside the code that it configures. */
export const configSchema = z.strictObject({
  agent: agentSchema,
  sources: z
    .record(nameSchema, schemaOfKinds(sourceKinds))
    .default({})
    .describe('Live connections to devices and topics, by id; none on a box that only serves models'),
  models: modelsConfigSchema.prefault({}).describe('Where the models are, and what they run on'),
  watches: z
    .record(nameSchema, watchSchema)
    .default({})
    .describe('Models bound to tags, by id, each with the alarm that it raises'),
  publish: publishSchema.optional(),
  sparkplug: sparkplugPublishSchema.optional(),
  outbox: outboxConfigSchema
    .prefault({})
    .describe('Records and samples kept on the box, until they are sent and after'),
  uplinks: z
    .record(nameSchema, schemaOfKinds(uplinkKinds))
    .default({})
    .describe('Receivers of records, by id; each has its own place in the outbox, one that is down holds up no other'),
  http: configObject({ ...httpFields, ...movedHttpKeys })
    .prefault({})
    .describe('HTTP endpoint of the agent: health, metrics, alarms, management of models and the dashboard'),
  serving: servingConfigSchema.optional(),
  log: logSchema,
});

/** After parsing: durations are milliseconds, sizes bytes, and every default is filled in. */
export type AgentConfig = z.infer<typeof configSchema>;

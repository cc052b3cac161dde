import * as z from 'zod';
import { annotationLabels } from '../contracts/operation/annotations.ts';
import { watchSummaryJson } from '../contracts/watch-json.ts';
import { alarmPriorities, alarmStates } from '../domain/alarm/alarm.ts';
import { unknownReasonCodes } from '../domain/alarm/unknown-reasons.ts';
import { qualities, qualityReasons } from '../domain/sample/quality.ts';

/** Answers of the HTTP API, one schema for validation, types and openapi.json. Times are epoch milliseconds. */
const componentJson = z.object({
  name: z.string(),
  status: z.enum(['starting', 'ok', 'degraded', 'failed']),
  reason: z.string(),
  reason_code: z
    .string()
    .optional()
    .describe(
      'Kind of the reason, for translations: a code of docs/errors.md or docs/quality.md, or a word of its own',
    ),
  reason_parameters: z.record(z.string(), z.string()).optional().describe('Values of the reason'),
  since_ms: z.number(),
});

export const healthJson = z.object({
  status: componentJson.shape.status,
  agent: z.string(),
  version: z.string(),
  components: z.array(componentJson),
});

const alarmStateJson = z.enum(alarmStates);

export const alarmJson = z.object({
  alarm: z.string().describe('Id: watch/<id>, limit/<tag>/<level> or diagnostic/<kind>/<id>'),
  watch: z.string().nullable().describe('Watch of the alarm; null for other alarms'),
  state: alarmStateJson,
  previous: alarmStateJson,
  priority: z.enum(alarmPriorities),
  cause: z.string().describe('Why the alarm was raised, until it is normal again'),
  change: z.string().describe('What happened last'),
  message: z.string(),
  present: z
    .string()
    .nullable()
    .describe('Reason now, if it is another one than at the onset, or the return to normal that is not acknowledged'),
  parameters: z.record(z.string(), z.union([z.string(), z.number()])).describe('Values of the message'),
  onset_ms: z.number().nullable(),
  acknowledged_by: z.string().nullable(),
  acknowledged_ms: z.number().nullable(),
  comment: z.string().nullable(),
  by: z.string().nullable(),
  score: z.number().nullable(),
  timestamp_ms: z.number(),
  number: z.number().describe('Increases with each change of this alarm'),
  shelved_until_ms: z.number().nullable(),
});

/** A note of a person, or a period that a person labelled. */
export const annotationJson = z.object({
  id: z.string(),
  watch: z.string(),
  from_ms: z.number(),
  to_ms: z.number().describe('The same as `from_ms` for a moment'),
  label: z.enum(annotationLabels),
  text: z.string(),
  actor: z.string(),
  at_ms: z.number().describe('When it was recorded'),
  removed: z
    .object({ actor: z.string(), at_ms: z.number() })
    .nullable()
    .describe('Who removed it; null while it is valid'),
});

/** A stored change of an alarm. Records of earlier versions lack some fields. */
export const journalEntryJson = z.looseObject({
  ...alarmJson.partial().shape,
  id: z.string(),
  timestamp_ms: z.number(),
});

export const floodJson = z
  .object({
    is_flood: z.boolean(),
    raised: z.number(),
    by_cause: z.record(z.string(), z.number()),
  })
  .describe('Alarms raised in the last ten minutes; more than ten are a flood');

export const outboxJson = z.object({
  records: z.number(),
  bytes: z.number(),
  bytes_max: z.number().describe('outbox.maxSize'),
  oldest_ms: z.number().nullable(),
  dead_letters: z.number().describe('Records that a receiver refused permanently'),
  lost: z.number().describe('Records that were dropped'),
  hours_left: z.number().nullable().describe('Hours until the outbox is full if no uplink works; null while unknown'),
  disk_free_bytes: z.number(),
  disk_bytes: z.number(),
  uplinks: z.array(z.object({ uplink: z.string(), waiting: z.number(), oldest_waiting_ms: z.number().nullable() })),
  notifications: z
    .array(z.object({ channel: z.string(), unread: z.number(), oldest_unread_ms: z.number().nullable() }))
    .describe(
      'Records that a channel of notifications has not read. The health of notify/<channel> has the alarms that wait to be sent',
    ),
});

export const tagReadingJson = z.object({
  tag: z.string(),
  value: z.number().nullable(),
  text: z.string().optional().describe('Display name of the value, or the text of a text tag'),
  unit: z.string(),
  timestamp_ms: z.number(),
  quality: z.enum(qualities),
  reason: z.enum(qualityReasons),
});

/** A verdict may have further fields: those of the model (contributions, provider) are returned as stored. */
export const verdictJson = z.looseObject({
  id: z.string().optional(),
  watch: z.string(),
  timestamp_ms: z.number(),
  verdict: z.enum(['normal', 'abnormal', 'uncertain', 'unknown']),
  score: z.number().nullable(),
  threshold: z.number().nullable(),
  reason: z.string(),
  reason_code: z.enum(unknownReasonCodes).optional().describe('Kind of the reason, for translations'),
  reason_parameters: z.record(z.string(), z.string()).optional().describe('Values of the reason'),
  imputed: z.array(z.string()).optional().describe('Tags without good values that the model estimated from the others'),
});

export const watchJson = watchSummaryJson.extend({
  model: z.string(),
  location: z.string().nullable().describe('ISA-95 location of the machine: that of the watch, or else of the agent'),
  abnormal: z
    .enum(['above', 'below'])
    .nullable()
    .describe('Abnormal side of the threshold; null while no model is ready'),
  step_ms: z.union([z.number(), z.literal('scan')]),
  hop_ms: z.union([z.number(), z.literal('scan')]),
  alarm_state: alarmStateJson.nullable(),
  tags: z.array(
    tagReadingJson.extend({
      normal_range: z
        .tuple([z.number(), z.number()])
        .nullable()
        .describe('Smallest and largest value in normal operation, from the model'),
    }),
  ),
  last_verdict: verdictJson.nullable(),
  drift: z.record(z.string(), z.number()).describe('Population stability index by tag, and of the score'),
  rollout: z
    .object({
      kind: z.enum(['shadow', 'canary', 'probation']),
      candidate: z.number(),
      incumbent: z.number(),
      windows: z.number(),
      agreement: z.number().nullable(),
      stopped: z.string().nullable().describe('Reason for which the candidate was stopped'),
    })
    .nullable()
    .describe('Two versions on the same windows. Details: /api/v1/models/<name>/compare'),
});

export const tagSeriesJson = z.object({
  tag: z.string(),
  timestamps_ms: z.array(z.number()),
  values: z.array(z.number()),
});

/** Columns of equal length. A span without a sample is missing. */
export const rollupJson = z.object({
  tag: z.string(),
  timestamps_ms: z.array(z.number()).describe('Begin of each minute or hour'),
  min: z.array(z.number().nullable()).describe('null if no sample of the span was good'),
  max: z.array(z.number().nullable()),
  mean: z.array(z.number().nullable()),
  count: z.array(z.number()).describe('Good samples'),
  quality: z.array(z.enum(qualities)).describe('Quality of the last sample'),
});

export const modelJson = z.object({
  name: z.string(),
  version: z.number(),
  state: z.enum(['loading', 'ready', 'absent', 'failed', 'quarantined']),
  reason: z.string(),
  provider: z.string().nullable(),
  fallbacks: z.array(z.object({ provider: z.string(), reason: z.string() })),
  usage: z
    .object({
      host: z.string().describe('Process of the model: main, clients, rollout-<model>@<version>, or a configured one'),
      resident_bytes: z.number().nullable().describe('Memory of the process, which all its models share'),
      runs: z.number().describe('Runs of this version since it was loaded'),
      mean_run_ms: z.number().nullable(),
      mean_wait_ms: z.number().nullable(),
    })
    .nullish(),
});

export const configurationProblemJson = z.object({
  file: z.string().describe('The configuration, or a tag file'),
  line: z.number(),
  column: z.number(),
  path: z.string().describe('Keys from the root: `sources.plc-1.timeout`'),
  message: z.string(),
  severity: z
    .enum(['error', 'warning', 'refused'])
    .describe('`refused`: only a local edit may change this; nothing else was checked'),
});

export const appliedJson = z
  .object({
    state: z.enum(['applying', 'applied', 'reverted', 'superseded', 'refused']),
    version: z.string().describe('SHA-256 of the text'),
    by: z.string(),
    timestamp_ms: z.number(),
    changed: z.array(z.string()).describe('Changed keys; empty while it is applied'),
    restart: z.array(z.string()).describe('Keys for which all parts restarted'),
    reason: z.string().describe("Why it was reverted or refused; '' for other states"),
  })
  .describe('Last change over HTTP since the start');

export const configurationJson = z.object({
  file: z.string(),
  text: z.string(),
  version: z.string().describe('SHA-256 of the file: the ETag'),
  generation: z.number().describe('Configurations in use since the start, this one included'),
  is_in_use: z.boolean().describe('False if the file was changed since it was read, or its change was reverted'),
  read_only: z.string().nullable().describe('Why it cannot be changed over HTTP; null if it can'),
  revert_after_ms: z.number().nullable().describe('`reload.revertAfter`; null for never'),
  last_apply: appliedJson.nullable(),
});

export const sourceJson = z.object({
  source: z.string(),
  type: z.string(),
  url: z.string().nullable().describe('Address of the device or broker; null if it is a secret'),
  status: componentJson.shape.status,
  reason: z.string(),
  reason_code: componentJson.shape.reason_code,
  since_ms: z.number(),
  tags: z.array(tagReadingJson),
});

export const registerJson = z.object({
  address: z.number(),
  raw: z.number().describe('Register as 0 to 65535, or bit as 0 or 1'),
  interpretations: z
    .array(z.object({ type: z.string(), byte_order: z.string(), value: z.number().nullable() }))
    .describe('Values of this and the next registers; null for NaN and infinity. Empty for bits'),
});

/** A topic of a broker with the values that could become tags. */
export const topicJson = z.object({
  topic: z.string(),
  messages: z.number(),
  payload: z.string().nullable().describe('First 1,000 characters of the last payload; null if it is not a text'),
  values: z.array(
    z.object({
      name: z.string().describe('Name that the tag could have'),
      value: z.number().nullable().describe('Null for NaN and infinity'),
      tag: z.record(z.string(), z.string()).describe('Keys of the tag that reads the value'),
    }),
  ),
  unnamed: z.number().describe('Metrics of Sparkplug without a name, because no birth was received'),
});

export const nodeJson = z.object({
  name: z.string(),
  node: z.string().describe("Address with the namespace's URI"),
  is_variable: z.boolean(),
  has_children: z.boolean().describe('True for each object: its children are not counted'),
  type: z.string(),
  value: z.string().describe('Start of the value as a text'),
  status: z.string(),
  unit: z.string().nullable(),
  range: z.array(z.number()).nullable().describe('Lowest and highest value'),
});

/** Tags of a table, with the keys and values of the configuration. */
export const tagTableJson = z.object({
  tags: z.array(z.object({ name: z.string(), fields: z.record(z.string(), z.unknown()) })),
  problems: z.array(z.object({ line: z.number(), column: z.number(), message: z.string() })),
});

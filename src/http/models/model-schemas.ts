import * as z from 'zod';

/** Answers about the model directory. Times are epoch milliseconds; null if a value does not exist. */
const rejectionJson = z.object({ version: z.number(), reason: z.string(), timestamp_ms: z.number() });

export const listedModelJson = z.object({
  name: z.string(),
  versions: z.array(z.number()).describe('In ascending order'),
  active: z.number().nullable(),
  previous: z.number().nullable().describe('The version that a rollback activates'),
  pinned: z.boolean().describe('The active version does not change until it is unpinned'),
  activated_ms: z.number().nullable(),
  rejected: z.array(rejectionJson).describe('Versions that a rollout stopped'),
  problem: z.string().nullable().describe('Why the model cannot be read'),
});

const numbers = z.record(z.string(), z.number());

export const listedVersionJson = z.object({
  model: z.string(),
  version: z.number(),
  written_ms: z.number(),
  bytes: z.number().describe('Size of all its files'),
  signed_by: z.string().nullable().describe('Trusted key that signed it; null without models.trust'),
  problem: z.string().nullable().describe('Why it cannot be used'),
  task: z.enum(['anomaly', 'regression', 'classification', 'other']).nullable(),
  runtime: z.enum(['local', 'remote']).nullable(),
  description: z.string(),
  metrics: numbers.describe('Figures on held-out data, from model.yaml'),
});

export const versionDetailJson = listedVersionJson.extend({
  sha256: z.string().nullable().describe('SHA-256 of model.onnx'),
  signature: z.object({
    state: z
      .enum(['unsigned', 'trusted', 'unchecked', 'refused'])
      .describe('unchecked: the files match, but models.trust names no key to verify it with'),
    key: z.string().nullable(),
    reason: z.string().nullable(),
  }),
  remote: z.object({ url: z.string(), fallback: z.string().nullable() }).nullable(),
  window: z
    .object({ steps: z.number(), step_ms: z.number().nullable() })
    .nullable()
    .describe('null for a model that judges no windows'),
  tags: z
    .array(z.object({ name: z.string(), unit: z.string(), range: z.tuple([z.number(), z.number()]).nullable() }))
    .describe('Columns of the window, in order'),
  input: z.string().nullable().describe('Graph input of the window'),
  threshold: z.number().nullable(),
  abnormal: z.enum(['above', 'below']).nullable(),
  deadband: z.number().nullable(),
  score_unit: z.string().nullable(),
  classes: z.array(z.string()).nullable(),
  golden_vectors: z.number(),
  example: z
    .record(z.string(), z.unknown())
    .nullable()
    .describe('Inputs of the first golden vector, up to 4,096 values'),
  training: z.record(z.string(), z.unknown()).describe('Method and data of the training, from model.yaml'),
  detection: z
    .record(z.string(), numbers)
    .nullable()
    .describe('Share of the rows of each injected fault that are abnormal, by tag and fault'),
  documents: z.array(z.object({ file: z.string(), bytes: z.number() })),
});

const dims = z.array(z.number());

export const tryOutJson = z.object({
  model: z.string(),
  version: z.number(),
  provider: z.string(),
  run_ms: z.number(),
  inputs: z
    .array(z.object({ name: z.string(), type: z.string(), dims }))
    .describe('Inputs of the graph; -1 is a dimension of any size'),
  outputs: z
    .record(
      z.string(),
      z.object({ type: z.string(), dims, data: z.array(z.union([z.number(), z.string(), z.null()])) }),
    )
    .describe('Row-major, at most 4,096 values of each. null: not a finite number'),
  judgement: z
    .object({ score: z.number(), threshold: z.number(), verdict: z.enum(['normal', 'abnormal']) })
    .nullable()
    .describe('For one window, with the threshold of the model'),
});

const judgedPeriodJson = z.object({
  rows: z.number().describe('Rows with a verdict'),
  abnormal: z.number().describe('Those of them that are abnormal'),
});

const comparisonJson = z.object({
  present: z.string().nullish().describe('The active version, NAME@VERSION; null if it could not judge'),
  recommendation: z.enum(['activate', 'keep', 'none']).describe('none: the periods do not decide'),
  reason: z.string(),
  periods: z.array(
    z.object({
      label: z.enum(['fault', 'normal']),
      from_ms: z.number(),
      to_ms: z.number(),
      present: judgedPeriodJson.nullish(),
      next: judgedPeriodJson,
    }),
  ),
});

export const trainingJson = z.object({
  id: z.number(),
  watch: z.string(),
  model: z.string(),
  by: z.string().describe('Who started it; `agent` for a watch that learns automatically'),
  state: z.enum(['waiting', 'running', 'trained', 'failed', 'cancelled']),
  stage: z.enum(['reading', 'fitting', 'trying out', 'proving']).nullable(),
  done: z.number().nullable().describe('Rows read in the stage reading; share of 0 to 1 in fitting and trying out'),
  started_ms: z.number(),
  ended_ms: z.number().nullable(),
  version: z.number().nullable().describe('The trained version. It is not active'),
  warnings: z.array(z.string()),
  metrics: numbers,
  comparison: comparisonJson
    .nullable()
    .describe('The active and the new version on the periods that people marked as fault or normal'),
  reason: z.string().nullable().describe('Why it failed'),
});

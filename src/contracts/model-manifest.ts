import * as z from 'zod';
import { triangleCells } from '../domain/model/imputation.ts';
import { configObject, duration } from '../platform/config-fields.ts';
import { remoteServerSchema } from './remote-server.ts';

const distributionSchema = configObject({
  edges: z.array(z.number()).max(100).describe('Limits of the bins, ascending'),
  shares: z
    .array(z.number().min(0).max(1))
    .max(101)
    .describe('Share of the training data in each bin; one more than edges'),
})
  .refine(({ edges, shares }) => shares.length === edges.length + 1, {
    path: ['shares'],
    error: 'must be one more than edges',
  })
  .describe('Distribution of the values in training; reference for drift');

const tagSchema = configObject({
  name: z.string().min(1).describe('Name of the column in training'),
  unit: z.string().default('').describe('Engineering unit of the values'),
  range: z.tuple([z.number(), z.number()]).optional().describe('Smallest and largest value in normal operation'),
  distribution: distributionSchema.optional(),
});

const goldenSchema = configObject({
  inputs: z
    .record(z.string(), z.array(z.number()))
    .describe('Row-major values of each graph input, for a batch of one'),
  outputs: z.record(z.string(), z.array(z.number())).describe('Expected row-major values of each graph output'),
});

const valuesSchema = z.array(z.union([z.number(), z.string(), z.boolean()]));

/** Values of any tensor. 64-bit integers above 2^53 are written as text. */
const tensorValuesSchema = z.union([
  valuesSchema,
  configObject({ dims: z.array(z.int().min(0)).max(16), data: valuesSchema }),
]);

const graphGoldenSchema = configObject({
  inputs: z
    .record(z.string(), tensorValuesSchema)
    .describe(
      'Values of each graph input: { dims, data }, or only the row-major values if the graph has one possible shape',
    ),
  outputs: z.record(z.string(), tensorValuesSchema).describe('Expected values of each graph output listed here'),
});

const numbers = z.array(z.number()).min(2).max(500);

const imputationSchema = configObject({
  means: numbers.describe('Mean of each tag in training'),
  deviations: z.array(z.number().positive()).min(2).max(500).describe('Standard deviation of each tag in training'),
  lags: z.int().min(1).max(1000).describe('Rows of the lag stacks of the precision matrix'),
  precision: z
    .base64()
    .describe(
      'Inverse of the covariance matrix of lag-stacked standardised rows, feature = lag * tags + tag: its upper triangle, row after row, as little-endian float32 in base64',
    ),
  parts: z
    .string()
    .describe('Name of the graph output float [batch, measures, tags] with the part of each tag in each measure'),
  measures: z
    .array(z.enum(['sum', 'largest']))
    .min(1)
    .max(16)
    .describe('How the parts of each measure become its value. The score is the largest value'),
}).describe('Estimation of missing tags from the others. Without it, a window with a missing tag is not judged');

const modesSchema = configObject({
  column: z.int().min(0).describe('Column of the tag with the mode, from 0'),
  reference: z
    .array(z.number())
    .min(1)
    .max(500)
    .describe('Value of each tag that takes the place of the centre of a mode'),
  values: z
    .array(
      configObject({
        value: z.number().describe('Value of the tag in this mode'),
        centre: z.array(z.number()).min(1).max(500).describe('Mean of each tag in this mode'),
        limit: z.number().min(1).describe('Factor of the threshold in this mode'),
      }),
    )
    .min(1)
    .max(100),
}).describe(
  'Modes of the machine. Each row is moved by the difference of reference and the centre of its mode before the graph judges it',
);

const servingSchema = configObject({
  maxBatch: z.int().min(1).max(4096).optional().describe('Most rows of several callers in one run'),
  maxDelay: duration('Longest that a request waits for others to share a run with', { maxMs: 10_000 }).optional(),
  deadline: duration('Longest that a run may take', { minMs: 10, maxMs: 600_000 }).optional(),
  intraOpThreads: z.int().min(1).max(64).optional().describe('Threads within one operator'),
})
  .prefault({})
  .describe('How to run the model, as recommended by its author; `models.limits` overrides it');

const generationSchema = configObject({
  tokens: z.string().default('input_ids').describe('Input of token ids, int64 [1, tokens]'),
  logits: z.string().default('logits').describe('Output of scores, float [1, tokens, vocabulary]'),
  past: z.string().default('past_key_values').describe('Prefix of the names of the cache inputs'),
  present: z.string().default('present').describe('Prefix of the names of the cache outputs'),
  maxTokens: z.int().min(1).max(1_000_000).default(1024).describe('Most tokens of prompt and answer together'),
  endToken: z.int().min(0).optional().describe('Token that ends an answer'),
}).describe('Text generation by a decoder with a key-value cache');

const identityFields = {
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, { error: 'expected lower-case letters, digits, dot, dash or underscore' }),
  version: z.int().min(1),
  description: z.string().default(''),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: 'expected 64 hexadecimal digits' })
    .optional()
    .describe('SHA-256 of model.onnx; not used for a remote model'),
  runtime: z
    .enum(['local', 'remote'])
    .default('local')
    .describe('Place of execution. local: this box, from model.onnx. remote: an Open Inference Protocol server'),
  remote: remoteServerSchema.optional().describe('Server of a remote model'),
};

type Identity = Pick<z.infer<z.ZodObject<typeof identityFields>>, 'name' | 'version' | 'sha256' | 'runtime' | 'remote'>;

/** Checks the fields that only one of the runtimes has. */
function checkRuntime({ name, version, sha256, runtime, remote }: Identity, context: z.RefinementCtx): void {
  const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  if (runtime === 'local') {
    if (sha256 === undefined) issue(['sha256'], 'is missing: the SHA-256 of model.onnx, 64 hexadecimal digits');
    if (remote !== undefined) issue(['remote'], 'requires `runtime: remote`');
    return;
  }
  if (remote === undefined) issue(['remote'], 'is missing: a remote model requires `remote: { url: … }`');
  if (sha256 !== undefined) issue(['sha256'], 'must not be set: a remote model has no model.onnx');
  if (remote?.fallback?.name === name && remote.fallback.version === version)
    issue(['remote', 'fallback'], 'is this version itself: set a local model');
}

const sharedFields = {
  goldenTolerance: z
    .number()
    .positive()
    .default(1e-4)
    .describe('Largest difference allowed, relative to max(1, |expected|)'),
  serving: servingSchema,
  training: z.record(z.string(), z.unknown()).default({}).describe('Method and data of the training'),
  metrics: z.record(z.string(), z.number()).default({}).describe('Scores on held-out data'),
};

const regimesSchema = configObject({
  reference: z.array(z.number()).describe('Value of each tag that takes the place of the centre of a regime'),
  scales: z.array(z.number().positive()).describe('Standard deviation of each tag within a regime'),
  centres: z.array(z.array(z.number())).min(2).max(100).describe('Mean of each tag, for each regime'),
}).describe('Regimes that the training found: each row of a window is moved from the nearest centre to the reference');

/**
 * `model.yaml` of a model that judges windows, for watches: identity, inputs and outputs, and golden vectors that verify it.
 *
 * The graph has one input, float [batch, steps, tags], or [batch, tags] for windows of one row, with raw values in engineering
 * units (scaling is inside the graph). Its outputs are `score`, one number for each window, and optionally `contributions`,
 * float32 [batch, tags]. docs/your-own-model.md describes it for users.
 */
const windowManifestSchema = configObject({
  ...identityFields,
  task: z.enum(['anomaly', 'regression', 'classification']),
  tags: z.array(tagSchema).min(1).describe('Columns of the window, in order'),
  classes: z
    .array(z.string().min(1))
    .min(2)
    .optional()
    .describe('Classes of a classification, the normal class first. The score is the probability of the other classes'),
  window: configObject({
    steps: z.int().min(1).max(100_000).describe('Rows of a window'),
    step: duration('Time between rows in training').optional(),
    flat: z
      .boolean()
      .default(false)
      .describe('true: the graph takes a window as one row [batch, steps * tags], the oldest values first'),
  }),
  input: z.string().default('window').describe('Name of the graph input'),
  output: configObject({
    score: z.string().default('score').describe('Name of the graph output with the score'),
    name: z.string().optional().describe('The same as score, which it replaces'),
    column: z
      .int()
      .min(0)
      .optional()
      .describe('Position in the last dimension of the output, from 0, if it has several values for a window'),
    reduce: z
      .enum(['max', 'min', 'mean', 'sum', 'mse'])
      .optional()
      .describe(
        'How several values for a window become one score. mse: mean squared difference from the window, for a graph that reconstructs it',
      ),
    contributions: z.string().optional().describe('Name of the graph output with one contribution for each tag'),
    probabilities: z.string().optional().describe('Name of the graph output with one probability for each class'),
    unit: z.string().default('').describe('Unit of the score. A regression predicts a value in this unit'),
    distribution: distributionSchema.optional(),
  }).prefault({}),
  threshold: z.number().describe('Threshold of the score'),
  abnormal: z.enum(['above', 'below']).default('above').describe('Side of the threshold that is abnormal'),
  deadband: z
    .number()
    .min(0)
    .default(0)
    .describe('Distance from the threshold, on the normal side, that the score must reach to be normal again'),
  relativeEnd: configObject({
    end: z.number().min(0).max(1).describe('Share of the peak of the score at which it is normal again'),
    restart: z.number().min(1).describe('Multiple of the lowest score since then above which it is abnormal again'),
  })
    .optional()
    .describe(
      'For a machine that drifts: the score is also normal again far below its peak, and not only at the threshold',
    ),
  imputation: imputationSchema.optional(),
  modes: modesSchema.optional(),
  regimes: regimesSchema.optional(),
  golden: z.array(goldenSchema).min(1).describe('Golden vectors, checked before the model is used'),
  ...sharedFields,
});

export const modelManifestSchema = windowManifestSchema
  .superRefine(checkRuntime)
  .superRefine(({ modes, tags, threshold, abnormal }, context) => {
    if (modes === undefined) return;
    const issue = (message: string) => context.addIssue({ code: 'custom', path: ['modes'], message });
    const count = tags.length;
    if (modes.column >= count) issue(`column ${modes.column} does not exist: there are ${count} tags`);
    if ([modes.reference, ...modes.values.map(({ centre }) => centre)].some(({ length }) => length !== count))
      issue(`needs one value for each of ${count} tags in reference and in each centre`);
    if (abnormal === 'below' || threshold <= 0)
      issue('needs a score that is abnormal above a positive threshold, because it raises the threshold');
  })
  .superRefine(({ regimes, modes, tags }, context) => {
    if (regimes === undefined) return;
    const issue = (message: string) => context.addIssue({ code: 'custom', path: ['regimes'], message });
    const { reference, scales, centres } = regimes;
    if ([reference, scales, ...centres].some(({ length }) => length !== tags.length))
      issue(`needs one value for each of ${tags.length} tags in reference, scales and each centre`);
    if (modes !== undefined) issue('cannot be together with modes, which have the centres');
  })
  .superRefine(({ imputation, tags, window, threshold, abnormal }, context) => {
    if (imputation === undefined) return;
    const { means, deviations, lags, precision } = imputation;
    const count = tags.length;
    const issue = (field: string[], message: string) =>
      context.addIssue({ code: 'custom', path: ['imputation', ...field], message });
    if (means.length !== count) issue(['means'], `has ${means.length} values, expected one for each of ${count} tags`);
    if (deviations.length !== count)
      issue(['deviations'], `has ${deviations.length} values, expected one for each of ${count} tags`);
    const bytes = 4 * triangleCells(lags * count);
    if (precision.length !== 4 * Math.ceil(bytes / 3))
      issue(['precision'], `expected ${bytes} bytes in base64 for ${lags} lags of ${count} tags`);
    if (lags > window.steps) issue(['lags'], `is ${lags}, expected at most the ${window.steps} rows of the window`);
    if (abnormal === 'below' || threshold <= 0)
      issue([], 'needs a score that is abnormal above a positive threshold, because it raises the threshold');
  });

export type ModelManifest = z.infer<typeof modelManifestSchema>;

/**
 * `model.yaml` of any other graph, for clients. Inputs and outputs may have any type and shape. Only `task: other` may have no
 * golden vectors. Such a model is served unverified, and its status reports this.
 */
export const graphManifestSchema = configObject({
  ...identityFields,
  task: z.enum(['regression', 'classification', 'other']),
  generation: generationSchema.optional(),
  golden: z.array(graphGoldenSchema).describe('Golden vectors, checked before the model is used'),
  ...sharedFields,
})
  .refine(({ task, golden }) => task === 'other' || golden.length > 0, {
    path: ['golden'],
    error: 'must have at least one vector: only a model with `task: other` may be served unverified',
  })
  .refine(({ remote }) => remote?.fallback === undefined, {
    path: ['remote', 'fallback'],
    error: 'is only for models that judge windows',
  })
  .superRefine(checkRuntime);

export type GraphManifest = z.infer<typeof graphManifestSchema>;
export type AnyManifest = ModelManifest | GraphManifest;
/** Values of a golden vector, row-major, with their shape if it is ambiguous. */
export type GoldenValues = z.infer<typeof tensorValuesSchema>;

import * as z from 'zod';
import { configObject, duration } from '../platform/config-fields.ts';
import { remoteServerSchema } from './remote-server.ts';

const distributionSchema = configObject({
  edges: z.array(z.number()).max(100).describe('Ascending limits of the bins'),
  shares: z.array(z.number().min(0).max(1)).max(101).describe('Share of the training in each bin: one more than edges'),
})
  .refine(({ edges, shares }) => shares.length === edges.length + 1, {
    path: ['shares'],
    error: 'must be one more than edges',
  })
  .describe('How the values were spread in training; drift is measured against it');

const tagSchema = configObject({
  name: z.string().min(1).describe('Name of the column, as it was trained'),
  unit: z.string().default('').describe('Engineering unit the values must have'),
  range: z.tuple([z.number(), z.number()]).optional().describe('Smallest and largest value seen in normal running'),
  distribution: distributionSchema.optional(),
});

const goldenSchema = configObject({
  inputs: z
    .record(z.string(), z.array(z.number()))
    .describe('Row-major values of each graph input, for a batch of one'),
  outputs: z.record(z.string(), z.array(z.number())).describe('Row-major values expected of each graph output'),
});

const valuesSchema = z.array(z.union([z.number(), z.string(), z.boolean()]));

/** For any tensor: 64-bit integers past 2^53 are written as text. */
const tensorValuesSchema = z.union([
  valuesSchema,
  configObject({ dims: z.array(z.int().min(0)).max(16), data: valuesSchema }),
]);

const graphGoldenSchema = configObject({
  inputs: z
    .record(z.string(), tensorValuesSchema)
    .describe('Of each graph input: { dims, data }, or the row-major values alone where the shape leaves no doubt'),
  outputs: z.record(z.string(), tensorValuesSchema).describe('Expected of each graph output named here'),
});

const servingSchema = configObject({
  maxBatch: z.int().min(1).max(4096).optional().describe('Rows of several callers that may go as one run'),
  maxDelay: duration('Longest that a caller waits for company', { maxMs: 10_000 }).optional(),
  deadline: duration('Longest a run may take', { minMs: 10, maxMs: 600_000 }).optional(),
  intraOpThreads: z.int().min(1).max(64).optional().describe('Threads within one operator'),
})
  .prefault({})
  .describe('What whoever made the model knows of how it is best run; `models.limits` goes before it');

const generationSchema = configObject({
  tokens: z.string().default('input_ids').describe('Input of token ids, int64 [1, tokens]'),
  logits: z.string().default('logits').describe('Output of scores, float [1, tokens, vocabulary]'),
  past: z.string().default('past_key_values').describe('What the names of the cache inputs begin with'),
  present: z.string().default('present').describe('What the names of the cache outputs begin with'),
  maxTokens: z.int().min(1).max(1_000_000).default(1024).describe('Tokens of prompt and answer together'),
  endToken: z.int().min(0).optional().describe('Token that ends an answer'),
}).describe('For a decoder that writes token by token with a key-value cache');

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
    .describe('SHA-256 of model.onnx; a remote model has none'),
  runtime: z
    .enum(['local', 'remote'])
    .default('local')
    .describe('Where it runs: here, from model.onnx, or on a server of the Open Inference Protocol'),
  remote: remoteServerSchema.optional().describe('The server of a remote model'),
};

type Identity = Pick<z.infer<z.ZodObject<typeof identityFields>>, 'name' | 'version' | 'sha256' | 'runtime' | 'remote'>;

/** What belongs to the one runtime and not to the other. */
function checkRuntime({ name, version, sha256, runtime, remote }: Identity, context: z.RefinementCtx): void {
  const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  if (runtime === 'local') {
    if (sha256 === undefined) issue(['sha256'], 'is missing: the SHA-256 of model.onnx, 64 hexadecimal digits');
    if (remote !== undefined) issue(['remote'], 'is for a model of `runtime: remote`');
    return;
  }
  if (remote === undefined) issue(['remote'], 'is missing: a remote model says `remote: { url: … }`');
  if (sha256 !== undefined) issue(['sha256'], 'is the digest of model.onnx, which a remote model does not have');
  if (remote?.fallback?.name === name && remote.fallback.version === version)
    issue(['remote', 'fallback'], 'is this version itself: name a local one');
}

const sharedFields = {
  goldenTolerance: z
    .number()
    .positive()
    .default(1e-4)
    .describe('Largest difference allowed, relative to max(1, |expected|)'),
  serving: servingSchema,
  training: z.record(z.string(), z.unknown()).default({}).describe('How and on what it was trained'),
  metrics: z.record(z.string(), z.number()).default({}).describe('Its scores on held-out data'),
};

/**
 * `model.yaml` of a model that judges windows, which is what a watch may name: what a model is, what it expects, and how anyone can check that it still does what it did.
 *
 * The graph takes one input `window` of float32, shape [batch, steps, tags], raw values in engineering units
 * (scaler and threshold arithmetic are inside), and gives `score`, float32 [batch], and where it explains
 * itself `contributions`, float32 [batch, tags].
 */
const windowManifestSchema = configObject({
  ...identityFields,
  task: z.enum(['anomaly', 'regression', 'classification']),
  tags: z.array(tagSchema).min(1).describe('Columns of the window, in order'),
  classes: z
    .array(z.string().min(1))
    .min(2)
    .optional()
    .describe('What a classification tells apart, the normal class first; the score is the probability of the others'),
  window: configObject({
    steps: z.int().min(1).max(100_000).describe('Grid points that the model sees'),
    step: duration('Grid spacing it was trained at').optional(),
  }),
  input: z.string().default('window').describe('Name of the graph input'),
  output: configObject({
    score: z.string().default('score').describe('Name of the graph output that is judged'),
    contributions: z.string().optional().describe('Name of the graph output with one share a tag'),
    probabilities: z.string().optional().describe('Name of the graph output with one probability a class'),
    unit: z.string().default('').describe('Unit of the score; a regression predicts a quality in this unit'),
    distribution: distributionSchema.optional(),
  }).prefault({}),
  threshold: z.number().describe('Decision line for the score'),
  abnormal: z.enum(['above', 'below']).default('above').describe('Side of the threshold that is abnormal'),
  deadband: z
    .number()
    .min(0)
    .default(0)
    .describe('How far back past the threshold the score must come to be normal again'),
  golden: z.array(goldenSchema).min(1).describe('Golden vectors, checked before the model is used'),
  ...sharedFields,
});

export const modelManifestSchema = windowManifestSchema.superRefine(checkRuntime);

export type ModelManifest = z.infer<typeof modelManifestSchema>;

/**
 * `model.yaml` of any other graph, which clients may run: whatever inputs and outputs it has, of any type and shape.
 * Only `task: other` may go without golden vectors; it is served unverified, and its status says so.
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
    error: 'must have a vector: only a model of `task: other` is served unverified',
  })
  .refine(({ remote }) => remote?.fallback === undefined, {
    path: ['remote', 'fallback'],
    error: 'is for models that judge windows: clients are given what this model gives, or an error',
  })
  .superRefine(checkRuntime);

export type GraphManifest = z.infer<typeof graphManifestSchema>;
export type AnyManifest = ModelManifest | GraphManifest;
/** Of a golden vector: row-major values, with their shape where it must be said. */
export type GoldenValues = z.infer<typeof tensorValuesSchema>;

export { judgesWindows } from './manifest-kind.ts';

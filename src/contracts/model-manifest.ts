import * as z from 'zod';
import { duration } from '../platform/config-fields.ts';

const tagSchema = z.strictObject({
  name: z.string().min(1).describe('Name of the column, as it was trained'),
  unit: z.string().default('').describe('Engineering unit the values must have'),
  range: z.tuple([z.number(), z.number()]).optional().describe('Smallest and largest value seen in normal running'),
});

const goldenSchema = z.strictObject({
  inputs: z
    .record(z.string(), z.array(z.number()))
    .describe('Row-major values of each graph input, for a batch of one'),
  outputs: z.record(z.string(), z.array(z.number())).describe('Row-major values expected of each graph output'),
});

/**
 * `model.yaml`: what a model is, what it expects, and how anyone can check that it still does what it did.
 *
 * The graph takes one input `window` of float32, shape [batch, steps, tags], raw values in engineering units
 * (scaler and threshold arithmetic are inside), and gives `score`, float32 [batch], and where it explains
 * itself `contributions`, float32 [batch, tags].
 */
export const modelManifestSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, { error: 'expected lower-case letters, digits, dot, dash or underscore' }),
  version: z.int().min(1),
  task: z.enum(['anomaly', 'regression', 'classification']),
  description: z.string().default(''),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: 'expected 64 hexadecimal digits' })
    .describe('SHA-256 of model.onnx'),
  tags: z.array(tagSchema).min(1).describe('Columns of the window, in order'),
  window: z.strictObject({
    steps: z.int().min(1).max(100_000).describe('Grid points that the model sees'),
    step: duration('Grid spacing it was trained at').optional(),
  }),
  input: z.string().default('window').describe('Name of the graph input'),
  output: z
    .strictObject({
      score: z.string().default('score').describe('Name of the graph output that is judged'),
      contributions: z.string().optional().describe('Name of the graph output with one share a tag'),
      unit: z.string().default('').describe('Unit of the score; a regression predicts a quality in this unit'),
    })
    .prefault({}),
  threshold: z.number().describe('Decision line for the score'),
  abnormal: z.enum(['above', 'below']).default('above').describe('Side of the threshold that is abnormal'),
  deadband: z
    .number()
    .min(0)
    .default(0)
    .describe('How far back past the threshold the score must come to be normal again'),
  golden: z.array(goldenSchema).min(1).describe('Golden vectors, checked before the model is used'),
  goldenTolerance: z
    .number()
    .positive()
    .default(1e-4)
    .describe('Largest difference allowed, relative to max(1, |expected|)'),
  training: z.record(z.string(), z.unknown()).default({}).describe('How and on what it was trained'),
  metrics: z.record(z.string(), z.number()).default({}).describe('Its scores on held-out data'),
});

export type ModelManifest = z.infer<typeof modelManifestSchema>;

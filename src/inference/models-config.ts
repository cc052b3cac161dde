import * as z from 'zod';
import { executionProviders } from '../contracts/inference.ts';
import { byteSize, duration } from '../platform/config-fields.ts';

const providerName = z.enum(executionProviders, { error: `expected one of ${executionProviders.join(', ')}` });

const providerSchema = z
  .union([
    providerName.transform((name) => ({ name, required: false, deviceId: 0 })),
    z.strictObject({
      name: providerName.describe("ONNX Runtime's execution provider: cuda, webgpu or cpu"),
      required: z
        .boolean()
        .default(false)
        .describe('Refuse to fall back: the model fails where this provider cannot be used'),
      deviceId: z.int().min(0).max(63).default(0).describe('Number of the device, where there are several (cuda only)'),
    }),
  ])
  .describe('A provider by name, or { name, required, deviceId }');

/** `models:` in the configuration. */
export const modelsConfigSchema = z.strictObject({
  directory: z
    .string()
    .min(1)
    .default('models')
    .describe('Folder with <name>/<version>/model.onnx and model.yaml, relative to the configuration file'),
  executionProviders: z
    .array(providerSchema)
    .min(1)
    .max(executionProviders.length)
    .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, {
      error: 'each provider may be named once',
    })
    .prefault(['cpu'])
    .describe('Tried in this order for each model; the one really in use is always reported'),
  deadline: duration('Longest a run may take; past it the host is killed and the run fails', {
    minMs: 10,
    maxMs: 600_000,
  }).prefault('1s'),
  loadDeadline: duration('Longest that loading a model and checking its golden vectors may take', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('60s'),
  maxModelSize: byteSize('Largest model.onnx that is read').prefault('512MB'),
  maxMemory: byteSize('Resident memory past which the host is replaced by a fresh one; no run fails by it').prefault(
    '1GB',
  ),
  maxQueuedRuns: z
    .int()
    .min(1)
    .max(10_000)
    .default(256)
    .describe('Runs that may wait for the host; one more is refused and counted'),
  intraOpThreads: z
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe('Threads within one operator; more than one costs small models CPU and gains nothing'),
  quarantine: z
    .strictObject({
      crashes: z.int().min(1).max(100).default(5).describe('Crashes or timeouts of one model within the period'),
      period: duration('Time over which the crashes are counted', { minMs: 1000 }).prefault('10m'),
      retryAfter: duration('How long a quarantined model is left alone before one more try', {
        minMs: 1000,
      }).prefault('5m'),
    })
    .prefault({})
    .describe('When a model that takes the host down is set aside, so that the others go on'),
});

/** Durations in milliseconds, sizes in bytes; `directory` made absolute by whoever read the file. */
export type ModelsConfig = z.infer<typeof modelsConfigSchema>;
export type ProviderConfig = ModelsConfig['executionProviders'][number];

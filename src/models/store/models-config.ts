import * as z from 'zod';
import { executionProviders } from '../../contracts/inference.ts';
import { byteSize, configObject, duration } from '../../platform/config-fields.ts';

/** Each is a process of some 60 MB before its first model. */
const HOSTS_MAX = 16;

const providerName = z.enum(executionProviders, { error: `expected one of ${executionProviders.join(', ')}` });

const providerSchema = z
  .union([
    providerName.transform((name) => ({ name, required: false, deviceId: 0 })),
    configObject({
      name: providerName.describe("ONNX Runtime's execution provider: cuda, webgpu or cpu"),
      required: z
        .boolean()
        .default(false)
        .describe('Refuse to fall back: the model fails where this provider cannot be used'),
      deviceId: z.int().min(0).max(63).default(0).describe('Number of the device, where there are several (cuda only)'),
    }),
  ])
  .describe('A provider by name, or { name, required, deviceId }');

const providerList = z
  .array(providerSchema)
  .min(1)
  .max(executionProviders.length)
  .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, {
    error: 'each provider may be named once',
  });

/** The process for the models of clients. */
export const CLIENT_HOST = 'clients';
/** Its name in earlier configurations. */
export const FORMER_CLIENT_HOST = 'visitors';

const hostName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, { error: 'expected lower-case letters, digits or dashes' })
  .transform((name) => (name === FORMER_CLIENT_HOST ? CLIENT_HOST : name));

const modelName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, { error: 'expected the name of a model, without a version' });

const limitsSchema = configObject({
  maxBatch: z
    .int()
    .min(1)
    .max(4096)
    .optional()
    .describe('Rows of several clients that may go as one run, and of one client at most; 32 where nobody says'),
  maxDelay: duration('Longest that a client waits for company; 0ms takes what waits already', {
    maxMs: 10_000,
  }).optional(),
  maxQueue: z.int().min(1).max(10_000).default(256).describe("Clients' requests that may wait; one more is refused"),
  deadline: duration('As models.deadline', { minMs: 10, maxMs: 600_000 }).optional(),
  intraOpThreads: z.int().min(1).max(64).optional().describe('As models.intraOpThreads'),
  executionProviders: providerList.optional().describe('As models.executionProviders'),
  host: hostName
    .optional()
    .describe("Process it runs in; `main` for a watch's model and `clients` for any other where left out"),
});

/** A key by the path of its file, or the PEM text itself. The text of a file is filled in by whoever reads it. */
const trustedKeySchema = z
  .string({ error: 'expected the path of a public key, or its PEM text' })
  .min(1)
  .refine((text) => !text.includes('\0'), { error: 'must not hold a NUL character' })
  .transform((text): { readonly file: string | undefined; readonly pem: string | undefined } =>
    text.includes('-----BEGIN') ? { file: undefined, pem: text } : { file: text, pem: undefined },
  );

const rollbackSchema = configObject({
  within: duration(
    'How long a version that was made active is on probation: the one before observes, and is made active again where it fails; 0ms for never',
  ).prefault('1h'),
  period: duration('Time over which everything below is counted', { minMs: 1000 }).prefault('1h'),
  crashes: z.int().min(1).default(1).describe('Crashes of its process at which a candidate is stopped'),
  deadlineMisses: z
    .int()
    .min(1)
    .default(3)
    .describe('Windows at which it is stopped for not having answered within its deadline'),
  invalidOutputs: z
    .int()
    .min(1)
    .default(3)
    .describe('Windows at which it is stopped for NaN, infinity or a failed run, where the other version gave a score'),
  alarmFactor: z
    .number()
    .min(1)
    .default(3)
    .describe('It is stopped where it calls more than so many times as many windows abnormal as the other version'),
  alarmFloor: z
    .int()
    .min(1)
    .default(5)
    .describe('Abnormal windows that the other version is taken to have had at least, when the two are compared'),
  minWindows: z
    .int()
    .min(1)
    .default(100)
    .describe('Windows that both must have judged before their rates of abnormal ones are compared'),
});

/** `models:` in the configuration. */
export const modelsConfigSchema = configObject({
  directory: z
    .string()
    .min(1)
    // The one character that no path may have; the folder is read while the configuration is checked.
    .refine((path) => !path.includes('\0'), { error: 'must not hold a NUL character' })
    .default('models')
    .describe('Folder with <name>/<version>/model.onnx and model.yaml, relative to the configuration file'),
  trust: configObject({
    keys: z
      .array(trustedKeySchema)
      .min(1)
      .max(100)
      .describe('Public keys, each the path of a file, relative to the configuration file, or its PEM text'),
  })
    .optional()
    .describe('Once it is set, only versions of models that one of these keys signed are loaded (andon models sign)'),
  remoteServers: z
    .array(
      z.string().transform((text, context) => {
        const origin = URL.parse(text)?.origin;
        if (origin !== undefined && origin !== 'null') return origin;
        context.addIssue({ code: 'custom', message: 'expected https://host:port', input: text });
        return z.NEVER;
      }),
    )
    .max(100)
    .optional()
    .describe('Servers that models of `runtime: remote` may name, each as https://host:port; any where left out'),
  serve: z
    .union([z.enum(['all', 'none']), z.array(modelName).max(1000)], {
      error: 'expected all, none or a list of names of models',
    })
    .default('none')
    .describe(
      "Models loaded at the start for clients beside the watches'. A watch's model that is named (or `all`) is loaded a second time for them, so that they cannot delay the watch; one that is not, with the first request for it",
    ),
  maxServed: z.int().min(1).max(10_000).default(64).describe('Models that may be loaded for clients at a time'),
  limits: z
    .record(modelName, limitsSchema)
    .refine((limits) => new Set(Object.values(limits).map(({ host }) => host)).size <= HOSTS_MAX, {
      error: `no more than ${HOSTS_MAX} hosts`,
    })
    .default({})
    .describe('By name of a model: how it is batched, queued and run'),
  hosts: z
    .record(hostName, configObject({ maxMemory: byteSize('As models.maxMemory, for this host').optional() }))
    .refine((hosts) => Object.keys(hosts).length <= HOSTS_MAX, { error: `no more than ${HOSTS_MAX} hosts` })
    .default({})
    .describe('By name of a host: its own bounds'),
  executionProviders: providerList
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
  maxModelSize: byteSize('Largest model.onnx that is read or installed').prefault('512MB'),
  receiveDeadline: duration('Longest that a package to be installed may take to arrive', {
    minMs: 1_000,
    maxMs: 86_400_000,
  }).prefault('15m'),
  maxMemory: byteSize(
    'Resident memory past which the host is replaced by a fresh one, by which no run fails; a version that would lift its host over it does not go live',
  ).prefault('1GB'),
  maxQueuedRuns: z
    .int()
    .min(1)
    .max(10_000)
    .default(256)
    .describe('Runs of watches that may wait for a host; one more is refused and counted'),
  intraOpThreads: z
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe('Threads within one operator; more than one costs small models CPU and gains nothing'),
  quarantine: configObject({
    crashes: z.int().min(1).max(100).default(5).describe('Crashes or timeouts of one model within the period'),
    period: duration('Time over which the crashes are counted', { minMs: 1000 }).prefault('10m'),
    retryAfter: duration(
      'How long a quarantined model, or a version that was refused, is left alone before one more try',
      {
        minMs: 1000,
      },
    ).prefault('5m'),
  })
    .prefault({})
    .describe('When a model that takes the host down is set aside, so that the others go on'),
  rollback: rollbackSchema
    .prefault({})
    .describe('When a candidate (a shadow, a canary, or a version just made active) is stopped and rolled back'),
});

/** Durations in milliseconds, sizes in bytes; `directory` made absolute by whoever read the file. */
export type ModelsConfig = z.infer<typeof modelsConfigSchema>;
export type ProviderConfig = ModelsConfig['executionProviders'][number];

import * as z from 'zod';
import { executionProviders } from '../../contracts/inference.ts';
import { byteSize, configObject, duration, wholeNumber } from '../../platform/config-fields.ts';
import { tlsSchema } from '../../platform/tls-files.ts';

/** Most host processes. Each takes about 60 MB without a model. */
const HOSTS_MAX = 16;

const providerName = z.enum(executionProviders, { error: `expected one of ${executionProviders.join(', ')}` });

const providerSchema = z
  .union([
    providerName.transform((name) => ({ name, required: false, deviceId: 0 })),
    configObject({
      name: providerName.describe('Execution provider of ONNX Runtime: cuda, webgpu or cpu'),
      required: z
        .boolean()
        .default(false)
        .describe('true: the model fails if this provider is not available, instead of using the next one'),
      deviceId: wholeNumber('Device number, if there are several (cuda only)', 63, 0).default(0),
    }),
  ])
  .describe('Name of a provider, or { name, required, deviceId }');

const providerList = z
  .array(providerSchema)
  .min(1)
  .max(executionProviders.length)
  .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, {
    error: 'a provider is listed twice',
  });

/** Host process for the models of clients. */
export const CLIENT_HOST = 'clients';
/** Former name of `CLIENT_HOST`, still accepted. */
export const FORMER_CLIENT_HOST = 'visitors';

const hostName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, { error: 'expected lower-case letters, digits or dashes' })
  .transform((name) => (name === FORMER_CLIENT_HOST ? CLIENT_HOST : name));

const modelName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, { error: 'expected the name of a model, without a version' });

const limitsSchema = configObject({
  maxBatch: wholeNumber(
    'Most rows in one run, from one client or several. Default: as in the model, otherwise 32',
    4096,
  ).optional(),
  maxDelay: duration(
    'Longest that a request waits for others to share a run with. 0ms only batches requests that already wait',
    {
      maxMs: 10_000,
    },
  ).optional(),
  maxQueue: wholeNumber('Most client requests that may wait. One more is refused', 10_000).default(256),
  deadline: duration('Overrides models.deadline for this model', { minMs: 10, maxMs: 600_000 }).optional(),
  intraOpThreads: wholeNumber('Overrides models.intraOpThreads for this model', 64).optional(),
  executionProviders: providerList.optional().describe('Overrides models.executionProviders for this model'),
  host: hostName
    .optional()
    .describe('Host process that the model runs in. Default: `main` for the model of a watch, `clients` for any other'),
});

/** Public key: path of its file, or PEM text. The loader adds the text of the file. */
const trustedKeySchema = z
  .string({ error: 'expected the path of a public key, or its PEM text' })
  .min(1)
  .refine((text) => !text.includes('\0'), { error: 'must not contain a NUL character' })
  .transform((text): { readonly file: string | undefined; readonly pem: string | undefined } =>
    text.includes('-----BEGIN') ? { file: undefined, pem: text } : { file: text, pem: undefined },
  );

const rollbackSchema = configObject({
  within: duration(
    'Probation of an activated version. During it the previous version judges the same windows, and is activated again if the new version fails. 0ms turns probation off',
  ).prefault('1h'),
  period: duration('Period over which the counts below apply', { minMs: 1000 }).prefault('1h'),
  crashes: wholeNumber('Number of crashes of its process at which a candidate is stopped').default(1),
  deadlineMisses: wholeNumber('Number of windows over the deadline at which a candidate is stopped').default(3),
  invalidOutputs: wholeNumber(
    'Number of windows with NaN, infinity or a failed run at which a candidate is stopped, if the other version returned a score',
  ).default(3),
  alarmFactor: z
    .number()
    .min(1)
    .default(3)
    .describe('A candidate is stopped if it has more than this many times the abnormal windows of the other version'),
  alarmFloor: wholeNumber('For alarmFactor: smallest number of abnormal windows assumed for the other version').default(
    5,
  ),
  minWindows: wholeNumber(
    'For alarmFactor: number of windows that both versions must have judged before they are compared',
  ).default(100),
});

/** `models:` in the configuration. */
export const modelsConfigSchema = configObject({
  directory: z
    .string()
    .min(1)
    // No path may contain NUL. The folder is read during the check of the configuration.
    .refine((path) => !path.includes('\0'), { error: 'must not contain a NUL character' })
    .default('models')
    .describe('Folder with <name>/<version>/model.onnx and model.yaml, relative to the configuration file'),
  trust: configObject({
    keys: z
      .array(trustedKeySchema)
      .min(1)
      .max(100)
      .describe('Public keys: paths of PEM files, relative to the configuration file, or PEM text'),
  })
    .optional()
    .describe('If set, only model versions signed with one of these keys are loaded (andon models sign)'),
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
    .describe('Servers that models with `runtime: remote` may use, each as https://host:port. Default: any server'),
  serve: z
    .union([z.enum(['all', 'none']), z.array(modelName).max(1000)], {
      error: 'expected all, none or a list of names of models',
    })
    .default('none')
    .describe(
      'Models that are loaded for clients at the start, in addition to those of the watches. The model of a watch gets a second instance for clients, so that they cannot delay the watch. A model that is not listed is loaded with the first request for it',
    ),
  maxServed: wholeNumber('Most models that may be loaded for clients at a time', 10_000).default(64),
  limits: z
    .record(modelName, limitsSchema)
    .refine((limits) => new Set(Object.values(limits).map(({ host }) => host)).size <= HOSTS_MAX, {
      error: `no more than ${HOSTS_MAX} hosts`,
    })
    .default({})
    .describe('Batching, queueing and execution of single models, by model name'),
  hosts: z
    .record(hostName, configObject({ maxMemory: byteSize('Overrides models.maxMemory for this host').optional() }))
    .refine((hosts) => Object.keys(hosts).length <= HOSTS_MAX, { error: `no more than ${HOSTS_MAX} hosts` })
    .default({})
    .describe('Limits of single host processes, by host name'),
  executionProviders: providerList
    .prefault(['cpu'])
    .describe('Execution providers, tried in this order for each model. Metrics and status report the one in use'),
  deadline: duration('Longest that a run may take. Then the run fails, and the host process is killed and restarted', {
    minMs: 10,
    maxMs: 600_000,
  }).prefault('1s'),
  loadDeadline: duration('Longest time to load a model and check its golden vectors', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('60s'),
  maxModelSize: byteSize('Largest model.onnx that is loaded or installed').prefault('512MB'),
  receiveDeadline: duration('Longest time for a model package to arrive', {
    minMs: 1_000,
    maxMs: 86_400_000,
  }).prefault('15m'),
  privateDownloads: z
    .boolean()
    .default(false)
    .describe(
      'Allows the installation of packages by URL from servers on local networks, such as 10.0.0.0/8 and this machine',
    ),
  tls: tlsSchema('the server of a package')
    .prefault({})
    .describe('Certificates for the installation of packages by URL, from https'),
  maxMemory: byteSize(
    'Most resident memory of a host process. A host above it is replaced by a new one without a failed run. A version that would exceed it is not activated',
  ).prefault('1GB'),
  maxQueuedRuns: wholeNumber(
    'Most runs of watches that may wait for a host. One more is refused and counted',
    10_000,
  ).default(256),
  intraOpThreads: wholeNumber(
    'Threads within one operator. More than one costs CPU and does not make small models faster',
    64,
  ).default(1),
  quarantine: configObject({
    crashes: wholeNumber(
      'Number of crashes or timeouts of one model within the period at which it is quarantined',
      100,
    ).default(5),
    period: duration('Period over which crashes are counted', { minMs: 1000 }).prefault('10m'),
    retryAfter: duration('Wait before a quarantined model or a refused version is tried again', {
      minMs: 1000,
    }).prefault('5m'),
  })
    .prefault({})
    .describe('Quarantine of a model that crashes its host, so that the other models continue'),
  rollback: rollbackSchema
    .prefault({})
    .describe('Limits at which a candidate is stopped and rolled back (a shadow, a canary, or a version on probation)'),
});

/** Parsed `models:`. The loader makes `directory` absolute. */
export type ModelsConfig = z.infer<typeof modelsConfigSchema>;
export type ProviderConfig = ModelsConfig['executionProviders'][number];

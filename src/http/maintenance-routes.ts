import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { release } from 'node:os';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { Maintenance } from '../contracts/operation/maintenance.ts';
import type { RecordStore } from '../contracts/record-store.ts';
import { snakeJson } from '../domain/record/snake-json.ts';
import { logLevels } from '../domain/log-level.ts';
import { packageVersion } from '../platform/package-files.ts';
import type { OperatorAudit } from '../web/access/operator-audit.ts';
import { errorJson } from '../web/http-errors.ts';

/** Level of each pino number, lowest first. */
const levels = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' } as const;
/** A short passphrase is guessed in hours: the file can be tried offline. */
const PASSPHRASE_LENGTH_MIN = 12;

const logLineJson = z.object({
  timestamp_ms: z.number(),
  level: z.enum(logLevels),
  message: z.string(),
  fields: z.record(z.string(), z.unknown()).describe('Other fields of the line'),
});
const rewoundJson = z.object({
  uplink: z.string(),
  from: z.number().describe('First sequence that is sent again'),
  from_ms: z.number(),
  waiting: z.number().describe('Records that wait now'),
  waited_before: z.number(),
});

export type MaintenanceRoutesOptions = {
  readonly maintenance: Maintenance;
  readonly records: RecordStore;
  readonly audit: OperatorAudit;
};

/** Log, versions, rewinding of uplinks and backups, for engineers and administrators. */
export function registerMaintenance(instance: FastifyInstance, options: MaintenanceRoutesOptions): void {
  registerLog(instance, options.maintenance);
  registerRewind(instance, options);
  registerBackup(instance, options);
}

function registerLog(instance: FastifyInstance, maintenance: Maintenance): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/log',
    {
      config: { permission: 'maintain' },
      schema: {
        summary: 'The last 1,000 lines of the log, the newest first',
        querystring: z.object({
          level: z.enum(logLevels).default('debug').describe('Lowest level'),
          limit: z.coerce.number().int().min(1).max(1000).default(1000),
        }),
        response: { 200: z.object({ lines: z.array(logLineJson) }) },
      },
    },
    ({ query: { level, limit } }) => {
      const lowest = logLevels.indexOf(level);
      const lines = maintenance
        .recentLog()
        .flatMap(logLineToJson)
        .filter((line) => logLevels.indexOf(line.level) >= lowest);
      return { lines: lines.slice(-limit).toReversed() };
    },
  );
  app.get(
    '/api/v1/versions',
    {
      schema: {
        summary: 'Versions of the agent and of what it runs on',
        response: { 200: z.record(z.string(), z.string()) },
      },
    },
    () => ({
      andon: packageVersion,
      node: process.versions.node,
      v8: process.versions.v8,
      openssl: process.versions.openssl,
      system: `${process.platform} ${process.arch}, ${release()}`,
    }),
  );
}

function logLineToJson(line: string): readonly z.infer<typeof logLineJson>[] {
  const { level, time, msg, ...fields } = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const name = levels[Number(level) as keyof typeof levels] ?? 'error';
  return [{ timestamp_ms: Date.parse(String(time)), level: name, message: typeof msg === 'string' ? msg : '', fields }];
}

function registerRewind(instance: FastifyInstance, { maintenance, records, audit }: MaintenanceRoutesOptions): void {
  instance.withTypeProvider<ZodTypeProvider>().post(
    '/api/v1/uplinks/:uplink/rewind',
    {
      config: { permission: 'maintain' },
      schema: {
        summary: 'Send delivered records of an uplink again, as far as they are stored',
        params: z.object({ uplink: z.string() }),
        body: z
          .object({
            from_ms: z.number().optional().describe('Time of the oldest record to send, epoch milliseconds'),
            from_sequence: z.int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
          })
          .refine((body) => (body.from_ms === undefined) !== (body.from_sequence === undefined), {
            error: "give either 'from_ms' or 'from_sequence'",
          }),
        response: { 200: rewoundJson, 400: errorJson, 404: errorJson, 409: errorJson, 503: errorJson },
      },
    },
    async ({ params: { uplink }, body, caller }, reply) => {
      const { uplinks } = await records.stats();
      if (!uplinks.some((each) => each.uplink === uplink))
        return reply.code(404).send({ error: `There is no uplink '${uplink}'` });
      const { from_ms: timeMs, from_sequence: sequence = 0 } = body;
      const rewound = await maintenance.rewind(uplink, timeMs === undefined ? { sequence } : { timeMs });
      await audit.record(caller, 'rewind', uplink, { ...snakeJson(rewound) });
      return { uplink, ...snakeJson(rewound) };
    },
  );
}

function registerBackup(instance: FastifyInstance, { maintenance, audit }: MaintenanceRoutesOptions): void {
  instance.withTypeProvider<ZodTypeProvider>().post(
    '/api/v1/backup',
    {
      config: { permission: 'administer' },
      schema: {
        summary: 'Write a backup of records, alarms, history, models and configuration, and download it',
        description: 'Secrets are not in it. `andon restore` reads it.',
        body: z.object({
          passphrase: z
            .string()
            .refine((text) => text.length >= PASSPHRASE_LENGTH_MIN, {
              error: `expected ${PASSPHRASE_LENGTH_MIN} characters or more`,
            })
            .meta({ minLength: PASSPHRASE_LENGTH_MIN })
            .optional()
            .describe('Encrypts the backup'),
          history: z.boolean().default(true).describe('False leaves the sample history out'),
        }),
        response: {
          200: {
            description: 'The backup',
            content: { 'application/octet-stream': { schema: z.any().meta({ type: 'string', format: 'binary' }) } },
          },
          400: errorJson,
          409: errorJson,
          503: errorJson,
        },
      },
    },
    async ({ body: { passphrase, history }, caller, raw }, reply) => {
      // Nothing is sent while the backup is written.
      raw.socket.setTimeout(0);
      const backup = await maintenance.backup({ passphrase, history });
      const content = createReadStream(backup.path);
      content.once('close', () => void backup[Symbol.asyncDispose]());
      const { size } = await stat(backup.path);
      const detail = { file: backup.name, bytes: size, encrypted: passphrase !== undefined, history };
      await audit.record(caller, 'backup', 'agent', detail);
      return reply
        .type('application/octet-stream')
        .header('content-length', size)
        .header('content-disposition', `attachment; filename="${backup.name}"`)
        .send(content);
    },
  );
}

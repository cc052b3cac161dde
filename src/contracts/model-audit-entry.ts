import * as z from 'zod';

const modelActions = ['train', 'install', 'activate', 'rollback', 'pin', 'unpin', 'remove', 'mend'] as const;
export type ModelAction = (typeof modelActions)[number];

/** A record of the audit log. */
export const auditEntrySchema = z.strictObject({
  sequence: z.int().min(1).describe('Starts at 1, without gaps'),
  timestamp_ms: z.number(),
  actor: z.string().describe('`cli:<user>`, `http:<address>` or `agent`'),
  action: z.enum(modelActions),
  model: z.string().describe('Empty if the package was refused before its name was known'),
  version: z.int().nullable(),
  outcome: z.enum(['ok', 'refused']),
  detail: z.record(z.string(), z.unknown()).describe('Reason of a refusal, and measured values'),
  previous: z.string().describe('Hash of the previous record; 64 zeros for the first'),
  hash: z.string().describe('SHA-256 of the line before this field, 64 hexadecimal digits'),
  hmac: z.string().optional().describe('With `audit.key`: id of the key, and HMAC-SHA256 of the hash'),
});
export type AuditEntry = Readonly<z.infer<typeof auditEntrySchema>>;

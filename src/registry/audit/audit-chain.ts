import type * as z from 'zod';
import { type AuditEntry, auditEntrySchema } from '../../contracts/model-audit-entry.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { sha256 } from '../../platform/sha256.ts';
import type { AuditKey } from './audit-key.ts';

/** `previous` of the first record. */
export const CHAIN_BEGIN = '0'.repeat(64);

/** A line ends with its hash, and its HMAC if there is a key. The hash is over the text before it and a closing brace. */
const linePattern = /^(\{.*),"hash":"([0-9a-f]{64})"(?:,"hmac":"[0-9a-f]{16}:[0-9a-f]{64}")?\}$/s;

/** Fields that the log adds to the content of a record. */
const CHAIN_FIELDS = { sequence: true, timestamp_ms: true, previous: true, hash: true, hmac: true } as const;

/** A record with its position in the chain; one with the action `mend` is about an unreadable part. */
export type Chained = {
  /** Starts at 1, without gaps. */
  readonly sequence: number;
  readonly timestamp_ms: EpochMs;
  readonly action: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** Hash of the previous record; 64 zeros for the first. */
  readonly previous: string;
  /** SHA-256 of the line before this field, 64 hexadecimal digits. */
  readonly hash: string;
  /** HMAC of the hash, if a key was configured when the record was written. */
  readonly hmac?: string | undefined;
};

export type Unchained<Entry extends Chained> = Omit<Entry, keyof typeof CHAIN_FIELDS>;

/** What the records of a log have. */
export type AuditFormat<Entry extends Chained> = {
  readonly schema: z.ZodType<Entry>;
  /** Returns the record about a part that cannot be read. */
  readonly repair: (detail: Chained['detail']) => Unchained<Entry>;
};

/** The content of a record of the model directory. */
export const auditRecordSchema = auditEntrySchema.omit(CHAIN_FIELDS);
export type AuditRecord = Readonly<z.infer<typeof auditRecordSchema>>;

/** The log of the model directory. */
export const modelAudit: AuditFormat<AuditEntry> = {
  schema: auditEntrySchema,
  repair: (detail) => ({ actor: 'andon', action: 'mend', model: '', version: null, outcome: 'ok', detail }),
};

/** Position in the chain: `sequence` and `previous` of the next record. */
export type ChainPosition = { readonly sequence: number; readonly previous: string };

/**
 * Returns the next line of the log, without its line break, and its hash.
 *
 * The hash is over the text, not over the values, so that sed and sha256sum can check it.
 */
export function auditLine(
  record: object,
  at: ChainPosition,
  timestampMs: number,
  key: AuditKey | undefined,
): { readonly line: string; readonly hash: string } {
  const { sequence, previous } = at;
  const body = JSON.stringify({ sequence, timestamp_ms: Math.round(timestampMs), ...record, previous });
  const hash = textHash(body);
  const hmac = key === undefined ? '' : `,"hmac":"${key.hmac(hash)}"`;
  return { line: `${body.slice(0, -1)},"hash":"${hash}"${hmac}}`, hash };
}

/** Returns the entry of a line with a correct hash, or the reason why there is none. */
export function readAuditLine<Entry>(line: string, schema: z.ZodType<Entry>): Entry | string {
  const match = linePattern.exec(line);
  if (match === null) return 'is not a line of an audit log';
  if (textHash(`${match[1]}}`) !== match[2]) return 'was changed: its hash does not match its text';
  try {
    return schema.parse(JSON.parse(line));
  } catch {
    return 'lacks a field of an audit log, or has a wrong one';
  }
}

export function positionAfter({ sequence, hash }: Pick<Chained, 'sequence' | 'hash'>): ChainPosition {
  return { sequence: sequence + 1, previous: hash };
}

/** Returns why an entry is not the next one of the chain; undefined if it is. */
export function chainFault(entry: Chained, expected: ChainPosition): string | undefined {
  if (entry.sequence !== expected.sequence) return `has sequence ${entry.sequence}, expected ${expected.sequence}`;
  if (entry.previous !== expected.previous) return 'does not follow the line before: one of them was replaced';
  return undefined;
}

function textHash(text: string): string {
  return sha256(Buffer.from(text));
}

import type * as z from 'zod';
import { type AuditEntry, auditEntrySchema } from '../../contracts/model-registry.ts';
import { sha256 } from '../../platform/sha256.ts';

/** `previous` of the first record. */
export const CHAIN_BEGIN = '0'.repeat(64);

/** A line ends with its hash. The hash is over the text before it and a closing brace. */
const linePattern = /^(\{.*),"hash":"([0-9a-f]{64})"\}$/s;

/** The content of a record; the log adds its position in the chain. */
export const auditRecordSchema = auditEntrySchema.omit({
  sequence: true,
  timestamp_ms: true,
  previous: true,
  hash: true,
});
export type AuditRecord = Readonly<z.infer<typeof auditRecordSchema>>;

/** Position in the chain: `sequence` and `previous` of the next record. */
export type ChainPosition = { readonly sequence: number; readonly previous: string };

/**
 * Returns the next line of the log, without its line break.
 *
 * The hash is over the text, not over the values, so that sed and sha256sum can check it.
 */
export function auditLine(record: AuditRecord, at: ChainPosition, timestampMs: number): string {
  const { sequence, previous } = at;
  const body = JSON.stringify({ sequence, timestamp_ms: Math.round(timestampMs), ...record, previous });
  return `${body.slice(0, -1)},"hash":"${textHash(body)}"}`;
}

/** Returns the entry of a line with a correct hash, or the reason why there is none. */
export function readAuditLine(line: string): AuditEntry | string {
  const match = linePattern.exec(line);
  if (match === null) return 'is not a line of an audit log';
  if (textHash(`${match[1]}}`) !== match[2]) return 'was changed: its hash does not match its text';
  try {
    return auditEntrySchema.parse(JSON.parse(line));
  } catch {
    return 'lacks a field of an audit log, or has a wrong one';
  }
}

export function positionAfter({ sequence, hash }: Pick<AuditEntry, 'sequence' | 'hash'>): ChainPosition {
  return { sequence: sequence + 1, previous: hash };
}

/** Returns why an entry is not the next one of the chain; undefined if it is. */
export function chainFault(entry: AuditEntry, expected: ChainPosition): string | undefined {
  if (entry.sequence !== expected.sequence) return `has sequence ${entry.sequence}, expected ${expected.sequence}`;
  if (entry.previous !== expected.previous) return 'does not follow the line before: one of them was replaced';
  return undefined;
}

function textHash(text: string): string {
  return sha256(Buffer.from(text));
}

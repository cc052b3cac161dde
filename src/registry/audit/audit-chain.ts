import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { AuditEntry } from '../../contracts/model-registry.ts';
import { modelActions } from '../../contracts/model-registry.ts';

/** `previous` of the first line of all. */
export const CHAIN_BEGIN = '0'.repeat(64);

/** A line ends with its hash, which is of all that stands before it and a closing brace. */
const linePattern = /^(\{.*),"hash":"([0-9a-f]{64})"\}$/s;

/** What an act says of itself; its place in the chain is given by the log. */
export const auditRecordSchema = z.strictObject({
  actor: z.string(),
  action: z.enum(modelActions),
  model: z.string(),
  version: z.int().nullable(),
  outcome: z.enum(['ok', 'refused']),
  detail: z.record(z.string(), z.unknown()),
});
export type AuditRecord = Readonly<z.infer<typeof auditRecordSchema>>;

const entrySchema = auditRecordSchema.extend({
  sequence: z.int().min(1),
  timestamp_ms: z.number(),
  previous: z.string(),
  hash: z.string(),
});

/** Where a chain stands: what the next line must say. */
export type ChainPosition = { readonly sequence: number; readonly previous: string };

/**
 * The next line of the log, without its line break.
 *
 * The hash is of the text, and not of the values in it, so that anybody can check it with sed and sha256sum.
 */
export function auditLine(note: AuditRecord, at: ChainPosition, timestampMs: number): string {
  const { actor, action, model, version, outcome, detail } = note;
  const body = JSON.stringify({
    sequence: at.sequence,
    timestamp_ms: Math.round(timestampMs),
    actor,
    action,
    model,
    version,
    outcome,
    detail,
    previous: at.previous,
  });
  return `${body.slice(0, -1)},"hash":"${sha256Text(body)}"}`;
}

/** @returns The entry of a line whose hash is right, or why it is none. */
export function readAuditLine(line: string): AuditEntry | string {
  const match = linePattern.exec(line);
  if (match === null) return 'is no line of an audit log';
  if (sha256Text(`${match[1]}}`) !== match[2]) return 'was changed: its hash is not that of its text';
  try {
    return entrySchema.parse(JSON.parse(line));
  } catch {
    return 'lacks what a line of an audit log has';
  }
}

/** Where the chain stands after a line. */
export function positionAfter({ sequence, hash }: AuditEntry): ChainPosition {
  return { sequence: sequence + 1, previous: hash };
}

/** @returns Why the entry does not follow; undefined where it does. */
export function chainFault(entry: AuditEntry, expected: ChainPosition): string | undefined {
  if (entry.sequence !== expected.sequence) return `has sequence ${entry.sequence}, expected ${expected.sequence}`;
  if (entry.previous !== expected.previous) return 'does not follow the line before: one of them is not the original';
  return undefined;
}

/** 64 hexadecimal digits. */
function sha256Text(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

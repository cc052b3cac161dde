import { crc32 } from 'node:zlib';
import type { RecordKind } from '../../domain/record/record.ts';

/** The part of a row that its checksum covers: everything that is sent, and its sequence. */
export type CheckedRow = {
  readonly sequence: number;
  readonly kind: RecordKind;
  readonly watch: string;
  readonly timestamp: number;
  readonly body: string;
  /** Id of a row salvaged from an older file; null for a row that got its id in this file. */
  readonly original_id: string | null;
};

/**
 * Computes the CRC-32 of a row. SQLite's own checks miss damage inside a payload: 188 of 200 flipped bits pass `quick_check`.
 *
 * @param epoch Epoch of the row's sequence, so that a row of another file never passes.
 */
export function rowChecksum(epoch: string, row: CheckedRow): number {
  const position = `${epoch}/${row.sequence}/${row.kind}/${row.timestamp}/${row.watch}/${row.original_id ?? ''}`;
  return crc32(row.body, crc32(position));
}

/** True if the row is what was stored. Damage may turn a text into a number or a blob, in spite of the column's type. */
export function isIntact(epoch: string | undefined, row: CheckedRow & { readonly checksum: number }): boolean {
  return epoch !== undefined && isText(row.body) && isText(row.watch) && rowChecksum(epoch, row) === row.checksum;
}

/** True for a stored text with a matching CRC-32. */
export function isIntactText(text: unknown, checksum: number): text is string {
  return isText(text) && crc32(text) === checksum;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

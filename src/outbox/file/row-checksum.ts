import { crc32 } from 'node:zlib';
import type { RecordKind } from '../../domain/record/record.ts';

/** What the checksum of a row covers: everything that is sent, and the place it stands at. */
export type CheckedRow = {
  readonly sequence: number;
  readonly kind: RecordKind;
  readonly watch: string;
  readonly timestamp: number;
  readonly body: string;
  /** Id of a row salvaged from an older file; null for rows that were given their id here. */
  readonly original_id: string | null;
};

/**
 * CRC-32 over a row. SQLite's own checks miss damage inside a payload: 188 of 200 flipped bits pass `quick_check`.
 *
 * @param epoch Epoch that the row's sequence belongs to, so that a row of another file never passes.
 */
export function rowChecksum(epoch: string, row: CheckedRow): number {
  const place = `${epoch}/${row.sequence}/${row.kind}/${row.timestamp}/${row.watch}/${row.original_id ?? ''}`;
  return crc32(row.body, crc32(place));
}

/** True where the row is what was stored. Damage may turn a text into a number or a blob, whatever its column says. */
export function isIntact(epoch: string, row: CheckedRow & { readonly checksum: number }): boolean {
  return isText(row.body) && isText(row.watch) && rowChecksum(epoch, row) === row.checksum;
}

/** A stored text whose CRC-32 holds. */
export function isIntactText(text: unknown, checksum: number): text is string {
  return isText(text) && crc32(text) === checksum;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

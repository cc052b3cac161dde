import { crc32 } from 'node:zlib';

/** The part of a row that its checksum covers: everything that is sent, and its sequence. */
export type CheckedRow = {
  readonly sequence: number;
  readonly kind: string;
  readonly watch: string;
  readonly timestamp: number;
  readonly body: string | Uint8Array;
  /** CRC-32 of the names of the columns; null if the body is JSON. */
  readonly names: number | null;
  /** Id of a row salvaged from an older file; null for a row that got its id in this file. */
  readonly original_id: string | null;
};

/**
 * Computes the CRC-32 of a row, as int32: SQLite stores it in 4 bytes. Rows of format 1 have it as uint32. SQLite's own checks miss damage inside a payload: 188 of 200 flipped bits pass `quick_check`.
 *
 * @param epoch Epoch of the row's sequence, so that a row of another file never passes.
 */
export function rowChecksum(epoch: string, row: CheckedRow): number {
  const { sequence, kind, timestamp, watch, original_id, names, body } = row;
  const position = `${epoch}/${sequence}/${kind}/${timestamp}/${watch}/${original_id ?? ''}${names === null ? '' : `/${names}`}`;
  return crc32(body, crc32(position)) | 0;
}

/** True if the row is what was stored. Damage may turn a text into a number or a blob, in spite of the column's type. */
export function isIntact(epoch: string | undefined, row: CheckedRow & { readonly checksum: number }): boolean {
  const isBody = row.names === null ? isText(row.body) : row.body instanceof Uint8Array;
  return epoch !== undefined && isBody && isText(row.watch) && rowChecksum(epoch, row) === (row.checksum | 0);
}

/** True for a stored text with a matching CRC-32, as int32 or uint32. */
export function isIntactText(text: unknown, checksum: number): text is string {
  return isText(text) && (crc32(text) | 0) === (checksum | 0);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

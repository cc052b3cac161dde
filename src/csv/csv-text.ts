import { createReadStream } from 'node:fs';
import { OperatingError } from '../platform/errors.ts';

/** Bytes that decide about the encoding; a header and the first rows fit. */
const HEAD_BYTES = 65_536;

/**
 * Reads a file as text: UTF-8, UTF-16 with a byte order mark or with a NUL in every second byte, and otherwise Windows-1252, which
 * contains Latin-1. A byte order mark is removed.
 *
 * @throws {OperatingError} 'csv-unreadable' (reject) for a spreadsheet.
 */
export async function* csvText(path: string): AsyncGenerator<string, void, undefined> {
  let decoder: InstanceType<typeof TextDecoder> | undefined;
  for await (const chunk of createReadStream(path, { highWaterMark: HEAD_BYTES })) {
    const bytes = chunk as Uint8Array;
    const problem = decoder === undefined ? spreadsheetProblem(bytes) : undefined;
    if (problem !== undefined) throw new OperatingError('csv-unreadable', 'reject', `${path} ${problem}`);
    decoder ??= new TextDecoder(encodingOf(bytes));
    yield decoder.decode(bytes, { stream: true });
  }
  const rest = decoder?.decode() ?? '';
  if (rest !== '') yield rest;
}

/** Returns what to do with a file of a spreadsheet program; undefined for another file. @param head Its first bytes. */
export function spreadsheetProblem(head: Uint8Array): string | undefined {
  const first = Buffer.from(head.subarray(0, 4)).toString('hex');
  // ZIP (.xlsx, .ods), and the format of Excel before 2007 (.xls).
  if (first !== '504b0304' && first !== 'd0cf11e0') return undefined;
  return 'is a spreadsheet. Save its sheet as CSV: in Excel with "Save As", "CSV UTF-8"; in LibreOffice with "Save As", "Text CSV"';
}

/** Returns the encoding of a text. @param head Its first bytes. */
export function encodingOf(head: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252' {
  const [first, second] = head;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  // Text of a header: no NUL in any other encoding.
  if (first !== 0 && second === 0) return 'utf-16le';
  if (first === 0 && second !== 0) return 'utf-16be';
  try {
    // The last character may be cut.
    new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true });
    return 'utf-8';
  } catch {
    return 'windows-1252';
  }
}

import { createReadStream } from 'node:fs';
import { errorMessage, OperatingError } from '../platform/errors.ts';

/** Longest line that is read, in characters; thousands of columns fit. */
const LINE_LENGTH_MAX = 1_000_000;

/** A line without its ending; lines count from 1. */
export type CsvLine = { readonly number: number; readonly text: string };

/**
 * Lines of a UTF-8 file, read as they are asked for: a file of any length costs one chunk of memory.
 *
 * A byte order mark at the start and blank lines are passed over.
 *
 * @throws {OperatingError} 'csv-unreadable' | 'csv-line-too-long' (reject).
 */
export async function* csvLines(path: string): AsyncGenerator<CsvLine, void, undefined> {
  const stream = createReadStream(path, { encoding: 'utf8' });
  let rest = '';
  let number = 0;
  try {
    for await (const chunk of chunks(stream, path)) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        number += 1;
        checkLength(line, number, path);
        if (line.trim() !== '') yield { number, text: trimmed(line, number) };
      }
      checkLength(rest, number + 1, path);
    }
    if (rest.trim() !== '') yield { number: number + 1, text: trimmed(rest, number + 1) };
  } finally {
    stream.destroy();
  }
}

async function* chunks(stream: AsyncIterable<string>, path: string): AsyncGenerator<string, void, undefined> {
  try {
    yield* stream;
  } catch (error) {
    throw new OperatingError('csv-unreadable', 'reject', `${path}: ${errorMessage(error)}`, { cause: error });
  }
}

function checkLength(line: string, number: number, path: string): void {
  if (line.length > LINE_LENGTH_MAX)
    throw new OperatingError(
      'csv-line-too-long',
      'reject',
      `${path}:${number}: the line is longer than ${LINE_LENGTH_MAX} characters`,
    );
}

function trimmed(line: string, number: number): string {
  const withoutMark = number === 1 && line.startsWith('\uFEFF') ? line.slice(1) : line;
  return withoutMark.endsWith('\r') ? withoutMark.slice(0, -1) : withoutMark;
}

import type { CsvRecord } from './csv-records.ts';
import { isTimeText } from './csv-times.ts';

/** Longest footer. More lines without a time are an error in the rows. */
const FOOTER_LINES_MAX = 10;

/**
 * Leaves out the last records of a file if they are no rows: totals and remarks without a time. Without a time column, a
 * footer is one text alone. The first record is always a row, and so is each record that a row follows.
 */
export async function* withoutFooter(
  records: AsyncIterable<CsvRecord>,
  columns: number,
  timeIndex: number | undefined,
): AsyncGenerator<CsvRecord, void, undefined> {
  const held: CsvRecord[] = [];
  let isFirst = true;
  for await (const record of records) {
    const isFooter = !isFirst && (timeIndex === undefined ? isOneText(record, columns) : hasNoTime(record, timeIndex));
    isFirst = false;
    if (isFooter && held.length < FOOTER_LINES_MAX) held.push(record);
    else {
      yield* held.splice(0);
      yield record;
    }
  }
}

/** A cut or wrong time begins with a digit and is reported. */
function hasNoTime({ cells }: CsvRecord, timeIndex: number): boolean {
  const cell = cells[timeIndex] ?? '';
  return !/^[\d.,+-]/.test(cell) && !isTimeText(cell);
}

function isOneText({ cells }: CsvRecord, columns: number): boolean {
  const texts = cells.filter((cell) => cell !== '');
  return columns > 1 && cells.length < columns && texts.length === 1 && !/^[\d.,+-]/.test(texts[0] ?? '');
}

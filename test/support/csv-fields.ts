import type { CsvOptions } from '../../src/csv/csv-file.ts';
import { readCsv } from './csv.ts';

/** Values of the first column, and the rows' times. */
export async function read(content: string | Uint8Array, options?: CsvOptions) {
  const { file, rows } = await readCsv(content, options);
  return {
    columns: file.layout.columns,
    notes: [...file.layout.notes, ...file.layout.timeNotes],
    values: rows.map(({ values }) => values[0]),
    times: rows.map(({ timeMs }) => timeMs),
    rows: rows.map(({ values }) => Array.from(values)),
  };
}

/** Returns the error as text, with FILE for the path. */
export const errorOf = async (content: string | Uint8Array, options?: CsvOptions): Promise<string> =>
  read(content, options).then(
    () => 'no error',
    (error: unknown) => String(error).replaceAll(/\S*export\.csv/g, 'FILE'),
  );

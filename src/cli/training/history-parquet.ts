import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import type { historyRows } from '../../offline/history-recording.ts';
import { writing } from '../output/written-file.ts';

/** Rows of a row group. They are in memory together, for each tag. */
const ROWS_AT_ONCE = 50_000;

/**
 * Writes history as a Parquet file: `time` as a UTC timestamp in microseconds, and a double for each tag, null if it
 * has no sample at that time.
 *
 * @throws {OperatingError} 'file-not-written' (retry).
 */
export function writeParquet(
  path: string,
  tags: readonly string[],
  rows: ReturnType<typeof historyRows>,
): Promise<void> {
  return writing(path, async () => {
    const parquet = new ParquetWriter({
      writer: fileWriter(path),
      schema: [
        { name: 'root', num_children: tags.length + 1 },
        { name: 'time', type: 'INT64', converted_type: 'TIMESTAMP_MICROS', repetition_type: 'REQUIRED' },
        ...tags.map((name) => ({ name, type: 'DOUBLE' as const, repetition_type: 'OPTIONAL' as const })),
      ],
      createdBy: 'andon',
    });
    let times: bigint[] = [];
    let columns: (number | null)[][] = tags.map(() => []);
    const writeGroup = async (): Promise<void> => {
      const data = columns.map((values, tag) => ({ name: tags[tag] ?? '', data: values }));
      await parquet.write({ columnData: [{ name: 'time', data: times }, ...data], rowGroupSize: ROWS_AT_ONCE });
      times = [];
      columns = tags.map(() => []);
    };
    for await (const { timeMs, values } of rows) {
      times.push(BigInt(Math.round((timeMs ?? 0) * 1000)));
      values.forEach((value, tag) => columns[tag]?.push(Number.isNaN(value) ? null : value));
      if (times.length === ROWS_AT_ONCE) await writeGroup();
    }
    if (times.length > 0) await writeGroup();
    await parquet.finish();
  });
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { CsvFile, type CsvOptions } from '../../src/csv/csv-file.ts';
import type { CsvRow } from '../../src/csv/csv-row.ts';

/** Writes a file, which the end of the test removes. @returns Its path. */
function csvPath(content: string | Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), 'andon-csv-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'export.csv');
  writeFileSync(path, content);
  return path;
}

/** Reads every row of a file with this content. */
export async function readCsv(
  content: string | Uint8Array,
  options?: CsvOptions,
): Promise<{ file: CsvFile; rows: readonly CsvRow[] }> {
  const file = await CsvFile.open(csvPath(content), options);
  const rows: CsvRow[] = [];
  for await (const row of file.rows()) rows.push(row);
  return { file, rows };
}

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { MarkedPeriod } from '../../contracts/operation/annotations.ts';
import { openFormattedReadOnly } from '../file/database-format.ts';
import { ANNOTATION_COLUMNS, annotationOf, type AnnotationRow, annotationsFormat } from './annotation-database.ts';

/**
 * Reads the periods of a watch that people marked as fault or normal and did not remove, oldest first, from another process.
 *
 * @param outboxPath `outbox.path`; the annotations are in the same folder.
 * @throws {FormatRefusal} 'database-newer' | 'database-older'.
 * @throws {Error} SqliteError if the file cannot be read.
 */
export function markedPeriods(outboxPath: string, watch: string): readonly MarkedPeriod[] {
  const path = join(dirname(outboxPath), 'annotations.db');
  // The file is made with the first annotation.
  if (!existsSync(path)) return [];
  const database = openFormattedReadOnly(path, annotationsFormat);
  try {
    const rows = database
      .prepare(`${ANNOTATION_COLUMNS} WHERE watch = ? ORDER BY from_ms`)
      .all(watch) as AnnotationRow[];
    return rows.flatMap((row) => {
      const annotation = annotationOf(row);
      if (annotation === undefined || annotation.removed !== undefined) return [];
      const { fromMs, toMs, label } = annotation;
      return label === 'note' || fromMs >= toMs ? [] : [{ fromMs, toMs, label }];
    });
  } finally {
    database.close();
  }
}

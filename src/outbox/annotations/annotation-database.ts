import { crc32 } from 'node:zlib';
import type { Annotation, AnnotationQuery } from '../../contracts/operation/annotations.ts';
import type { SqliteDatabase } from '../file/database-file.ts';
import { type DatabaseFormat, openFormatted } from '../file/database-format.ts';
import { isIntactText } from '../file/row-checksum.ts';

/** An annotation is under 2 kB. */
const BYTES_MAX = 256e6;

/* A removal is a row of its own, with the id of the annotation: no row is ever changed or deleted. */
const TABLES = `
CREATE TABLE annotation (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, watch TEXT NOT NULL,
  from_ms REAL NOT NULL, to_ms REAL NOT NULL, checksum INTEGER NOT NULL, entry TEXT NOT NULL
);
CREATE INDEX annotation_time ON annotation (watch, from_ms);
CREATE TABLE removal (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, checksum INTEGER NOT NULL, entry TEXT NOT NULL
);
`;

export const annotationsFormat: DatabaseFormat = {
  name: 'annotation database',
  migrations: [(database) => database.exec(TABLES)],
};

type Removal = NonNullable<Annotation['removed']>;
export type AnnotationRow = {
  readonly entry: string;
  readonly checksum: number;
  readonly removal: string | null;
  readonly removal_checksum: number | null;
};

export const ANNOTATION_COLUMNS = `SELECT annotation.entry, annotation.checksum, removal.entry AS removal, removal.checksum AS removal_checksum
  FROM annotation LEFT JOIN removal ON removal.id = annotation.id`;

/** What people recorded about machines, in a small file of its own, so that telemetry never displaces it. */
export class AnnotationDatabase {
  readonly #sqlite: SqliteDatabase;
  readonly #statements;

  constructor(path: string) {
    this.#sqlite = openFormatted(path, BYTES_MAX, annotationsFormat);
    try {
      this.#statements = {
        add: this.#sqlite.prepare(
          'INSERT INTO annotation (id, watch, from_ms, to_ms, checksum, entry) VALUES (?, ?, ?, ?, ?, ?)',
        ),
        remove: this.#sqlite.prepare('INSERT OR IGNORE INTO removal (id, checksum, entry) VALUES (?, ?, ?)'),
        one: this.#sqlite.prepare(`${ANNOTATION_COLUMNS} WHERE annotation.id = ?`),
        find: this.#sqlite.prepare(
          `${ANNOTATION_COLUMNS} WHERE (@watch IS NULL OR watch = @watch) AND from_ms <= @toMs AND to_ms >= @fromMs
           ORDER BY annotation.sequence DESC LIMIT @limit`,
        ),
      };
    } catch (error) {
      this.#sqlite.close();
      throw error;
    }
  }

  /** On disk when this returns. */
  add(annotation: Annotation): void {
    const { id, watch, fromMs, toMs } = annotation;
    const entry = JSON.stringify(annotation);
    this.#statements.add.run(id, watch, fromMs, toMs, crc32(entry), entry);
  }

  /** On disk when this returns. @returns Undefined for an unknown id. */
  remove(id: string, removal: Removal): Annotation | undefined {
    if (this.#one(id) === undefined) return undefined;
    const entry = JSON.stringify(removal);
    this.#statements.remove.run(id, crc32(entry), entry);
    return this.#one(id);
  }

  /** Newest first. Damaged rows are left out. */
  find({ watch, fromMs, toMs, limit }: AnnotationQuery): readonly Annotation[] {
    const rows = this.#statements.find.all({ watch: watch ?? null, fromMs, toMs, limit }) as AnnotationRow[];
    return rows.flatMap((row) => annotationOf(row) ?? []);
  }

  /** @throws {Error} SqliteError while another program has the file locked. */
  probe(): void {
    this.#sqlite.exec('BEGIN IMMEDIATE; ROLLBACK');
  }

  close(): void {
    this.#sqlite.close();
  }

  #one(id: string): Annotation | undefined {
    const row = this.#statements.one.get(id) as AnnotationRow | undefined;
    return row === undefined ? undefined : annotationOf(row);
  }
}

/** @returns Undefined if the row is not what `add` wrote. */
export function annotationOf({ entry, checksum, removal, removal_checksum }: AnnotationRow): Annotation | undefined {
  if (!isIntactText(entry, checksum)) return undefined;
  // The checksums prove that this class wrote the texts.
  const annotation = JSON.parse(entry) as Annotation;
  if (removal === null || !isIntactText(removal, removal_checksum ?? 0)) return { ...annotation, removed: undefined };
  return { ...annotation, removed: JSON.parse(removal) as Removal };
}

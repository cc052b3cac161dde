import { type RecordKind, recordKinds } from '../../domain/record/record.ts';
import { DatabaseDamage, type SqliteDatabase } from '../file/database-file.ts';
import type { UplinkInterest } from '../file/storage-protocol.ts';
import { type OutboxStatements, parseJson } from './outbox-schema.ts';
import { HandedOut } from './handed-out.ts';
import { type PendingRange, UplinkCursor } from './uplink-cursor.ts';

/** An uplink's cursor, and the kinds of record that are kept for the uplink. */
export type UplinkPosition = { readonly interest: UplinkInterest; readonly cursor: UplinkCursor };

/** The cursors of the configured uplinks. A moved cursor is in memory immediately, and in the file with the next commit. */
export class OutboxCursors {
  readonly #sqlite: SqliteDatabase;
  readonly #statements: OutboxStatements;
  readonly #interests: readonly UplinkInterest[];
  readonly handedOut: HandedOut;
  readonly #unsaved = new Set<string>();
  #positions = new Map<string, UplinkPosition>();

  /** @param bytesMax Maximum size of the outbox. */
  constructor(
    sqlite: SqliteDatabase,
    statements: OutboxStatements,
    interests: readonly UplinkInterest[],
    bytesMax: number,
  ) {
    this.handedOut = new HandedOut(bytesMax / 16 / Math.max(1, interests.length));
    this.#sqlite = sqlite;
    this.#statements = statements;
    this.#interests = interests;
  }

  load(): void {
    const rows = this.#sqlite.prepare('SELECT uplink, ranges FROM cursor').all() as {
      readonly uplink: string;
      readonly ranges: string;
    }[];
    const ranges = new Map(rows.map((row) => [row.uplink, parseRanges(row.ranges)]));
    // A new uplink starts with the oldest record: a renamed uplink must lose nothing.
    this.#positions = new Map(
      this.#interests.map((interest) => [
        interest.id,
        { interest, cursor: new UplinkCursor(ranges.get(interest.id) ?? []) },
      ]),
    );
    this.#unsaved.clear();
  }

  get positions(): ReadonlyMap<string, UplinkPosition> {
    return this.#positions;
  }

  /** Every uplink that takes this kind has acknowledged every sequence up to this one. @param last Last sequence of the outbox. */
  deliveredThrough(kind: RecordKind, last: number): number {
    let through = last;
    for (const { interest, cursor } of this.#positions.values())
      if (interest.kinds.includes(kind)) through = Math.min(through, cursor.acknowledged);
    return through;
  }

  /** Every uplink has acknowledged every sequence up to this one. */
  delivered(last: number): number {
    return Math.min(...recordKinds.map((kind) => this.deliveredThrough(kind, last)));
  }

  /** Returns the positions, for `restore`. */
  snapshot(): ReadonlyMap<string, readonly PendingRange[]> {
    return new Map([...this.#positions].map(([uplink, { cursor }]) => [uplink, [...cursor.ranges]]));
  }

  /** Returns to earlier positions after a failed commit. The next one saves them. */
  restore(positions: ReadonlyMap<string, readonly PendingRange[]>): void {
    for (const [uplink, ranges] of positions) {
      this.#positions.get(uplink)?.cursor.restore(ranges);
      this.#unsaved.add(uplink);
    }
  }

  moved(uplink: string): void {
    this.#unsaved.add(uplink);
  }

  get hasUnsaved(): boolean {
    return this.#unsaved.size > 0;
  }

  /** Within `commit`. */
  save(): void {
    for (const uplink of this.#unsaved) {
      const ranges = this.#positions.get(uplink)?.cursor.ranges ?? [];
      this.#statements.saveCursor.run(
        uplink,
        JSON.stringify(ranges.map(({ acknowledged, through }) => [acknowledged, through ?? null])),
      );
    }
    this.#unsaved.clear();
  }
}

function parseRanges(text: string): readonly PendingRange[] {
  const ranges = parseJson(text);
  if (!Array.isArray(ranges)) throw new DatabaseDamage('a cursor is not a list');
  return ranges.map((range: unknown) => {
    const [acknowledged, through] = Array.isArray(range) ? (range as unknown[]) : [];
    if (typeof acknowledged !== 'number') throw new DatabaseDamage('a cursor has no position');
    return { acknowledged, through: typeof through === 'number' ? through : undefined };
  });
}

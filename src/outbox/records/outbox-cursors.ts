import { type RecordKind, recordKinds } from '../../domain/record/record.ts';
import { DatabaseDamage, type SqliteDatabase } from '../file/database-file.ts';
import type { UplinkInterest } from '../file/storage-protocol.ts';
import { type OutboxStatements, parseJson } from './outbox-schema.ts';
import { HandedOut } from './handed-out.ts';
import { isRecordKind } from './record-rows.ts';
import { type PendingRange, UplinkCursor } from './uplink-cursor.ts';

/** An uplink's cursor, and the kinds of record that are kept for the uplink. */
export type UplinkPosition = { readonly interest: UplinkInterest; readonly cursor: UplinkCursor };

/** Kinds of each uplink, as stored in `meta`. */
const INTERESTS = 'interests';

/** Positions before a commit. */
type Snapshot = {
  readonly positions: ReadonlyMap<string, UplinkPosition>;
  readonly ranges: ReadonlyMap<string, readonly PendingRange[]>;
};

/** The cursors of the configured uplinks. A moved cursor is in memory immediately, and in the file with the next commit. */
export class OutboxCursors {
  readonly #sqlite: SqliteDatabase;
  readonly #statements: OutboxStatements;
  readonly handedOut: HandedOut;
  readonly #unsaved = new Set<string>();
  #isInterestUnsaved = false;
  #positions: ReadonlyMap<string, UplinkPosition> = new Map();

  /** @param bytesMax Maximum size of the outbox. */
  constructor(sqlite: SqliteDatabase, statements: OutboxStatements, bytesMax: number) {
    this.handedOut = new HandedOut(bytesMax / 16);
    this.#sqlite = sqlite;
    this.#statements = statements;
  }

  /** Reads the positions of the uplinks. Each takes the kinds that are stored for it, until `change`. */
  load(uplinks: readonly UplinkInterest[]): void {
    const kinds = parseKinds(this.#statements.getMeta.get(INTERESTS) as string | undefined);
    this.#open(uplinks.map(({ id, kinds: own }) => ({ id, kinds: kinds.get(id) ?? own })));
    this.#unsaved.clear();
    this.#isInterestUnsaved = false;
  }

  /**
   * Replaces the uplinks. One that stays keeps its cursor. The position of a removed one stays in the file. Within `commit`
   * if cursors have moved.
   */
  change(uplinks: readonly UplinkInterest[]): void {
    this.save();
    this.#open(uplinks);
    this.#isInterestUnsaved = interestsText(uplinks) !== this.#statements.getMeta.get(INTERESTS);
  }

  #open(uplinks: readonly UplinkInterest[]): void {
    const rows = this.#sqlite.prepare('SELECT uplink, ranges FROM cursor').all() as {
      readonly uplink: string;
      readonly ranges: string;
    }[];
    const ranges = new Map(rows.map((row) => [row.uplink, parseRanges(row.ranges)]));
    const before = this.#positions;
    // A new uplink starts with the oldest record: a renamed uplink must lose nothing.
    this.#positions = new Map(
      uplinks.map((interest) => {
        const cursor = before.get(interest.id)?.cursor ?? new UplinkCursor(ranges.get(interest.id) ?? []);
        return [interest.id, { interest, cursor }];
      }),
    );
    for (const uplink of before.keys()) if (!this.#positions.has(uplink)) this.handedOut.release(uplink);
    this.handedOut.share(uplinks.length);
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
  snapshot(): Snapshot {
    const positions = this.#positions;
    return { positions, ranges: new Map([...positions].map(([uplink, { cursor }]) => [uplink, [...cursor.ranges]])) };
  }

  /** Returns to earlier positions after a failed commit. The next one saves them. */
  restore({ positions, ranges }: Snapshot): void {
    this.#positions = positions;
    for (const [uplink, { cursor }] of positions) {
      cursor.restore(ranges.get(uplink) ?? []);
      this.#unsaved.add(uplink);
    }
    this.#isInterestUnsaved = true;
  }

  moved(uplink: string): void {
    this.#unsaved.add(uplink);
  }

  get hasUnsaved(): boolean {
    return this.#unsaved.size > 0 || this.#isInterestUnsaved;
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
    if (!this.#isInterestUnsaved) return;
    this.#statements.setMeta.run(
      INTERESTS,
      interestsText([...this.#positions.values()].map(({ interest }) => interest)),
    );
    this.#isInterestUnsaved = false;
  }
}

function interestsText(uplinks: readonly UplinkInterest[]): string {
  return JSON.stringify(uplinks.map(({ id, kinds }) => [id, kinds]));
}

/** @param text Undefined in a file of an earlier version. */
function parseKinds(text: string | undefined): ReadonlyMap<string, readonly RecordKind[]> {
  const interests = text === undefined ? [] : parseJson(text);
  if (!Array.isArray(interests)) throw new DatabaseDamage('the kinds of the uplinks are not a list');
  return new Map(
    interests.map((interest: unknown) => {
      const [id, kinds] = Array.isArray(interest) ? (interest as unknown[]) : [];
      if (typeof id !== 'string' || !Array.isArray(kinds)) throw new DatabaseDamage('an uplink has no kinds');
      return [id, kinds.map(String).filter(isRecordKind)];
    }),
  );
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

import { isDeepStrictEqual } from 'node:util';
import type { Lane } from '../../contracts/record-store.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { OperatingError } from '../../platform/errors.ts';
import type { LostRow } from './loss-ledger.ts';
import type { UplinkPosition } from './outbox-cursors.ts';
import type { OutboxDatabase } from './outbox-database.ts';
import type { OutboxRow, PendingBytes, PendingRun } from './outbox-schema.ts';
import { isRecordKind } from './record-rows.ts';
import type { ClaimRequest, RecordRun, SequenceSpans, UplinkInterest } from '../file/storage-protocol.ts';
import type { PendingRange } from './uplink-cursor.ts';

/** A live lane whose next record is older than this leaves the waiting records to the backlog lane. */
const LIVE_AGE_MS_MAX = 60_000;
/** After this time without a live read, the backlog lane takes over the live range. */
const LIVE_SILENCE_MS = 300_000;

/** Finds and acknowledges records for the uplinks, on the open outbox file. The reader worker reads them. */
export class RecordLanes {
  readonly #database: OutboxDatabase;

  constructor(database: OutboxDatabase) {
    this.#database = database;
  }

  /**
   * Returns the ranges of sequences with the next records of an uplink. Until these are settled or the uplink reads again
   * from its cursor, they are not dropped.
   */
  claim(request: ClaimRequest, nowMs: EpochMs): SequenceSpans['spans'] {
    const { uplink, lane, after } = request;
    const { handedOut } = this.#database.cursors;
    const range = this.#rangeFor(this.#position(uplink), lane, nowMs);
    const { spans, first, last } = this.#next(range, request);
    if (after === undefined) handedOut.release(uplink);
    if (first !== undefined && last !== undefined) handedOut.add(uplink, first, last);
    return spans.filter((span) => span.through > span.after);
  }

  /**
   * Replaces the uplinks. An uplink whose kinds change continues with the first record that waits for it, or with the next
   * one that is stored: it gets no older records of a new kind.
   */
  change(uplinks: readonly UplinkInterest[]): void {
    const { cursors } = this.#database;
    for (const { id, kinds } of uplinks) {
      const position = cursors.positions.get(id);
      const isChanged = position !== undefined && !isDeepStrictEqual(new Set(position.interest.kinds), new Set(kinds));
      if (isChanged) this.#skipGaps(position);
    }
    cursors.change(uplinks);
  }

  /** Moves the start of each range to its first waiting record. */
  #skipGaps({ interest, cursor }: UplinkPosition): void {
    const { cursors, sequence } = this.#database;
    for (const range of cursor.ranges.slice()) {
      const first = this.#firstPending(range, interest);
      cursor.advance(range, first === undefined ? (range.through ?? sequence) : first.sequence - 1);
    }
    cursors.moved(interest.id);
  }

  /** Finds the next records, as many as one read may have. */
  #next(range: PendingRange | undefined, { uplink, kinds, recordsMax, after = 0 }: ClaimRequest) {
    const { counts, statements, sequence, cursors } = this.#database;
    const { readBytesMax } = cursors.handedOut;
    const kindsJson = JSON.stringify(kinds);
    const spans: { readonly after: number; readonly through: number }[] = [];
    let [records, bytes] = [0, 0];
    let first: number | undefined;
    let last: number | undefined;
    if (range === undefined) return { spans, first, last };
    for (const span of counts.spans(kinds, Math.max(range.acknowledged, after), range.through ?? sequence)) {
      const wanted = [span.after, span.through, kindsJson, uplink, recordsMax - records] as const;
      // Losses may be of another uplink.
      const isPlain = span.pure && counts.spans(['loss'], span.after, span.through).next().done === true;
      const all = (
        isPlain
          ? statements.rangeSize.get(span.after, span.through, recordsMax - records)
          : statements.pendingSize.get(...wanted)
      ) as PendingRun;
      const isCut = bytes + all.bytes > readBytesMax;
      const found = isCut
        ? startOf(statements.pendingBytes.all(...wanted) as PendingBytes[], readBytesMax - bytes, records === 0)
        : all;
      spans.push({ after: span.after, through: found.last ?? span.after });
      bytes += found.bytes;
      records += found.records;
      first ??= found.first ?? undefined;
      last = found.last ?? last;
      if (isCut || records >= recordsMax) break;
    }
    return { spans, first, last };
  }

  /**
   * Moves the uplink's cursor past a run of its lane: in memory immediately, in the file with the next commit. If a
   * crash loses the move, the records are sent again and the receiver drops them by their ids.
   *
   * @returns False if the run moves nothing: it was read before the file was replaced, or is acknowledged already.
   * @throws {OperatingError} 'acknowledge-out-of-order' if older records of the lane still wait.
   */
  acknowledge(run: RecordRun): boolean {
    const { interest, cursor } = this.#position(run.uplink);
    if (!this.#isOurs(run.first) || !this.#isOurs(run.last)) return false;
    const range = cursor.rangeOf(run.first.sequence, run.last.sequence);
    if (range === undefined) return false;
    const older = this.#firstPending({ ...range, through: run.first.sequence - 1 }, interest);
    if (older !== undefined)
      throw new OperatingError(
        'acknowledge-out-of-order',
        'reject',
        `Uplink ${run.uplink} acknowledged from sequence ${run.first.sequence}, but ${older.sequence} still waits`,
      );
    cursor.advance(range, run.last.sequence);
    this.#database.cursors.handedOut.settled(run.uplink, run.last.sequence);
    this.#database.cursors.moved(run.uplink);
    return true;
  }

  /** Deletes a row that fails its checksum, and counts the loss: a damaged row is never sent. */
  removeDamaged(sequence: number): void {
    const row = this.#database.statements.bySequence.get(sequence) as OutboxRow | undefined;
    if (row === undefined || this.#database.rows.verified(row) !== undefined) return;
    const { timestamp } = row;
    const kind: LostRow['kind'] = isRecordKind(row.kind) ? row.kind : 'unknown';
    const timestampMs = Number.isFinite(timestamp) ? timestamp : 0;
    this.#database.commit(() => {
      this.#database.remove([{ sequence, kind: 'unknown' }]);
      // The id of a salvaged row may be damaged too.
      const lost = { sequence, kind, timestamp: timestampMs, original_id: null };
      this.#database.losses.dropped([lost], 'row-damaged', 'any');
    });
  }

  /** Returns the number of records that wait for an uplink, and the time of the oldest. */
  waiting(uplink: string): { readonly count: number; readonly oldestMs: EpochMs | undefined } {
    const { interest, cursor } = this.#position(uplink);
    const { counts, statements, sequence } = this.#database;
    const kinds = JSON.stringify(interest.kinds);
    let count = 0;
    for (const range of cursor.ranges)
      for (const span of counts.spans(interest.kinds, range.acknowledged, range.through ?? sequence)) {
        const { after, through } = span;
        // Some of the losses may be of other uplinks.
        const isExact = span.whole && counts.spans(['loss'], after, through).next().done === true;
        count += isExact ? span.count : Number(statements.pendingCount.get(after, through, kinds, uplink));
      }
    const oldest = cursor.ranges.map((range) => this.#firstPending(range, interest)).find((row) => row !== undefined);
    return { count, oldestMs: oldest?.timestamp };
  }

  #position(uplink: string): UplinkPosition {
    const position = this.#database.cursors.positions.get(uplink);
    if (position === undefined)
      throw new OperatingError('uplink-unknown', 'reject', `No uplink '${uplink}' is configured for the outbox`);
    return position;
  }

  #rangeFor(position: UplinkPosition, lane: Lane, nowMs: EpochMs): PendingRange | undefined {
    const { cursor, interest } = position;
    switch (lane) {
      case 'live':
        this.#openLive(position, nowMs);
        return cursor.lane('live');
      case 'backlog':
        cursor.endLiveAfter(nowMs, LIVE_SILENCE_MS);
        // A gap without records for this uplink closes.
        for (let range = cursor.lane('backlog'); range?.through !== undefined; range = cursor.lane('backlog')) {
          if (this.#firstPending(range, interest) !== undefined) return range;
          cursor.advance(range, range.through);
          this.#database.cursors.moved(interest.id);
        }
        return cursor.lane('backlog');
    }
  }

  #openLive({ cursor, interest }: UplinkPosition, nowMs: EpochMs): void {
    const wasLive = cursor.live;
    cursor.readLive(nowMs);
    const last = cursor.ranges.at(-1);
    const next = last === undefined ? undefined : this.#firstPending(last, interest);
    if (next === undefined) return;
    if (wasLive && nowMs - next.timestamp <= LIVE_AGE_MS_MAX) return;
    if (cursor.splitAt(this.#database.sequence)) this.#database.cursors.moved(interest.id);
  }

  #firstPending(
    range: PendingRange,
    { id, kinds }: UplinkInterest,
  ): { readonly sequence: number; readonly timestamp: number } | undefined {
    const { counts, statements, sequence } = this.#database;
    const kindsJson = JSON.stringify(kinds);
    for (const span of counts.spans(kinds, range.acknowledged, range.through ?? sequence)) {
      const row = statements.pendingSequences.get(span.after, span.through, kindsJson, id, 1);
      if (row !== undefined) return row as { readonly sequence: number; readonly timestamp: number };
    }
    return undefined;
  }

  /** True if the record is in this file: by its sequence, or by the id of a salvaged row. */
  #isOurs({ id, sequence }: { readonly id: string; readonly sequence: number }): boolean {
    if (this.#database.epochs.idOf({ sequence, original_id: null }) === id) return true;
    return this.#database.statements.byOriginalId.get(id) !== undefined;
  }
}

/** Returns the first rows with at most `bytesMax`. @param hasOne True takes one row of any size. */
function startOf(rows: readonly PendingBytes[], bytesMax: number, hasOne: boolean): PendingRun {
  let [records, bytes] = [0, 0];
  for (const row of rows) {
    if (bytes + row.bytes > bytesMax && !(hasOne && records === 0)) break;
    bytes += row.bytes;
    records += 1;
  }
  const taken = rows.slice(0, records);
  return { records, bytes, first: taken[0]?.sequence ?? null, last: taken.at(-1)?.sequence ?? null };
}

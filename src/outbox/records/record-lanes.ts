import type { Lane } from '../../contracts/record-store.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { RecordKind } from '../../domain/record/record.ts';
import { OperatingError } from '../../platform/errors.ts';
import type { UplinkPosition } from './outbox-cursors.ts';
import type { OutboxDatabase } from './outbox-database.ts';
import type { OutboxRow } from './outbox-schema.ts';
import { isRecordKind } from './record-rows.ts';
import type { ClaimRequest, RecordRun, SequenceSpans } from '../file/storage-protocol.ts';
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

  /** Returns the ranges of sequences with the next records of an uplink, at least `recordsMax` if there are as many. */
  claim({ uplink, lane, kinds, after = 0, recordsMax }: ClaimRequest, nowMs: EpochMs): SequenceSpans['spans'] {
    const range = this.#rangeFor(this.#position(uplink), lane, nowMs);
    const spans: { readonly after: number; readonly through: number }[] = [];
    if (range === undefined) return spans;
    const { counts, sequence } = this.#database;
    let left = recordsMax;
    for (const span of counts.spans(kinds, Math.max(range.acknowledged, after), range.through ?? sequence)) {
      if (span.after < span.through) spans.push({ after: span.after, through: span.through });
      // The count of a part of a bucket is an upper bound.
      if (span.whole) left -= span.count;
      if (left <= 0) break;
    }
    return spans;
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
    const older = this.#firstPending({ ...range, through: run.first.sequence - 1 }, interest.kinds);
    if (older !== undefined)
      throw new OperatingError(
        'acknowledge-out-of-order',
        'reject',
        `Uplink ${run.uplink} acknowledged from sequence ${run.first.sequence}, but ${older.sequence} still waits`,
      );
    cursor.advance(range, run.last.sequence);
    this.#database.cursors.moved(run.uplink);
    return true;
  }

  /** Deletes a row that fails its checksum, and counts the loss: a damaged row is never sent. */
  removeDamaged(sequence: number): void {
    const row = this.#database.statements.bySequence.get(sequence) as OutboxRow | undefined;
    if (row === undefined || this.#database.rows.verified(row) !== undefined) return;
    const { timestamp } = row;
    const kind = isRecordKind(row.kind) ? row.kind : 'unknown';
    this.#database.commit(() => {
      this.#database.remove([{ sequence, kind: 'unknown' }]);
      const timestampMs = Number.isFinite(timestamp) ? timestamp : 0;
      this.#database.losses.add(
        { kind, reason: 'row-damaged', from: sequence, to: sequence, count: 1 },
        timestampMs,
        this.#database.epochs.at(sequence),
      );
    });
  }

  /** Returns the number of records that wait for an uplink, and the time of the oldest. */
  waiting(uplink: string): { readonly count: number; readonly oldestMs: EpochMs | undefined } {
    const { interest, cursor } = this.#position(uplink);
    const { counts, statements, sequence } = this.#database;
    const kinds = JSON.stringify(interest.kinds);
    let count = 0;
    for (const range of cursor.ranges)
      for (const span of counts.spans(interest.kinds, range.acknowledged, range.through ?? sequence))
        count += span.whole ? span.count : Number(statements.pendingCount.get(span.after, span.through, kinds));
    const oldest = cursor.ranges
      .map((range) => this.#firstPending(range, interest.kinds))
      .find((row) => row !== undefined);
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
          if (this.#firstPending(range, interest.kinds) !== undefined) return range;
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
    const next = last === undefined ? undefined : this.#firstPending(last, interest.kinds);
    if (next === undefined) return;
    if (wasLive && nowMs - next.timestamp <= LIVE_AGE_MS_MAX) return;
    if (cursor.splitAt(this.#database.sequence)) this.#database.cursors.moved(interest.id);
  }

  #firstPending(
    range: PendingRange,
    kinds: readonly RecordKind[],
  ): { readonly sequence: number; readonly timestamp: number } | undefined {
    const { counts, statements, sequence } = this.#database;
    const kindsJson = JSON.stringify(kinds);
    for (const span of counts.spans(kinds, range.acknowledged, range.through ?? sequence)) {
      const row = statements.pendingSequences.get(span.after, span.through, kindsJson, 1);
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

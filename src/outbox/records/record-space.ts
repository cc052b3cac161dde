import type { EpochMs } from '../../domain/epoch-ms.ts';
import { type RecordKind, recordKinds } from '../../domain/record/record.ts';
import { PAGE_BYTES, type Space, SpaceGauge } from '../file/database-file.ts';
import type { OutboxConfig } from '../file/outbox-config.ts';
import { sizeBudget } from '../file/size-budget.ts';
import type { LostRow } from './loss-ledger.ts';
import type { OutboxDatabase } from './outbox-database.ts';

/** Rows of one delete. One delete of 500,000 rows wrote 151 MiB of WAL. */
const DELETE_ROWS_MAX = 2000;
/** Rows of the first delete for room. Each further one has twice as many. */
const DELETE_ROWS_MIN = 16;
/** Deletes in a row before one commit. If these do not free enough space, the commit is refused. */
const DELETES_MAX = 50;
/** Space that samples and verdicts leave free: for alarms, losses and the bookkeeping of deletes. */
const SPARE_BYTES = 32 * PAGE_BYTES;
/** Time until the next check for expired rows if none was old enough; a tenth of the retention if that is shorter. */
const EXPIRE_CHECK_MS = 10_000;
/** Space that alarms and losses leave free. */
const SPARE_BYTES_MIN = 8 * PAGE_BYTES;

/** Bytes of a row in addition to its body and watch. */
export const ROW_BYTES = 64;

type Candidate = LostRow & { readonly kind: RecordKind };

/** Records that may be deleted to make room. */
type Step = { readonly kinds: readonly RecordKind[]; readonly delivered: boolean };

/** Deletes records: by age once they are delivered, by `onFull` once the outbox is full. */
export class RecordSpace {
  readonly #database: OutboxDatabase;
  readonly #config: OutboxConfig;
  readonly #gauge: SpaceGauge;
  #nothingExpiredMs = -Infinity;

  constructor(database: OutboxDatabase, config: OutboxConfig) {
    this.#database = database;
    this.#config = config;
    this.#gauge = new SpaceGauge(database.sqlite, sizeBudget(config.maxSizeBytes).fileBytes);
  }

  get space(): Space {
    return this.#gauge.read();
  }

  /**
   * Makes room for `bytes` more.
   *
   * @param newcomer Least important kind among the new drafts. More important records are not deleted for it.
   * @returns False if the remaining records may not be deleted.
   */
  makeRoom(bytes: number, newcomer: RecordKind): boolean {
    // Rows, their index entries and split pages take up to twice the bodies.
    const urgent = newcomer === 'alarm' || newcomer === 'loss';
    const neededBytes = 2 * bytes + (urgent ? SPARE_BYTES_MIN : SPARE_BYTES);
    if (this.#free() >= neededBytes) return true;
    // Frees more than needed, so that not every commit has to delete.
    const wantedBytes = neededBytes + Math.min(this.#config.maxSizeBytes / 100, 8e6);
    for (let deletes = 0; deletes < DELETES_MAX && this.#free() < wantedBytes; deletes += 1)
      if (!this.#deleteSome(newcomer, Math.min(DELETE_ROWS_MIN * 2 ** deletes, DELETE_ROWS_MAX))) break;
    return this.#free() >= neededBytes;
  }

  /** Deletes a chunk of records that every uplink has and that are older than the retention. @returns True if there may be more. */
  expire(nowMs: EpochMs): boolean {
    const { retentionMs } = this.#config;
    // The absolute value: the clock may be set back.
    if (Math.abs(nowMs - this.#nothingExpiredMs) < Math.min(EXPIRE_CHECK_MS, retentionMs / 10)) return false;
    const oldestMs = nowMs - retentionMs;
    for (const kind of recordKinds) {
      const found = this.#oldest([kind], 0, this.#deliveredThrough(kind), DELETE_ROWS_MAX);
      const expired = found.filter(({ timestamp }) => timestamp < oldestMs);
      if (expired.length === 0) continue;
      this.#database.commit(() => this.#database.remove(expired));
      return true;
    }
    this.#nothingExpiredMs = nowMs;
    return false;
  }

  /** Within `commit`. Deletes the oldest dead letters above `deadLettersMax`. */
  trimDeadLetters(): void {
    const { statements, losses } = this.#database;
    const over = Number(statements.deadLetterCount.get()) - this.#config.deadLettersMax;
    if (over <= 0) return;
    const oldest = statements.oldestDeadLetters.all(over) as DeadLetter[];
    for (const { number } of oldest) statements.removeDeadLetter.run(number);
    for (const [uplink, letters] of Map.groupBy(oldest, (letter) => letter.uplink)) {
      const rows = letters.map(({ id, kind, timestamp }) => ({
        sequence: sequenceOf(id),
        kind,
        timestamp,
        original_id: id,
      }));
      losses.droppedOf(uplink, rows, 'dead-letters-full');
    }
  }

  #deliveredThrough(kind: RecordKind): number {
    return this.#database.cursors.deliveredThrough(kind, this.#database.sequence);
  }

  #free(): number {
    const { bytesUsed, bytesMax } = this.space;
    return bytesMax - bytesUsed;
  }

  #deleteSome(newcomer: RecordKind, rowsMax: number): boolean {
    for (const { kinds, delivered } of this.#steps(newcomer)) {
      const candidates = delivered
        ? kinds.flatMap((kind) => this.#oldest([kind], 0, this.#deliveredThrough(kind), rowsMax))
        : this.#oldestFree(kinds, rowsMax);
      const chosen = candidates.toSorted((a, b) => a.sequence - b.sequence).slice(0, rowsMax);
      if (chosen.length === 0) continue;
      this.#database.commit(() => {
        if (!delivered) this.#database.losses.dropped(chosen, 'outbox-full', 'oldest-first');
        this.#database.remove(chosen);
      });
      return true;
    }
    return false;
  }

  #steps(newcomer: RecordKind): readonly Step[] {
    const delivered = { kinds: recordKinds, delivered: true };
    return [delivered, ...dropOrder(this.#config.onFull, newcomer).map((kinds) => ({ kinds, delivered: false }))];
  }

  /** Returns the oldest records that no uplink has read and not settled. */
  #oldestFree(kinds: readonly RecordKind[], rowsMax: number): readonly Candidate[] {
    const found: Candidate[] = [];
    for (const { after, through } of this.#database.cursors.handedOut.free(this.#database.sequence)) {
      found.push(...this.#oldest(kinds, after, through, rowsMax - found.length));
      if (found.length >= rowsMax) break;
    }
    return found;
  }

  #oldest(kinds: readonly RecordKind[], after: number, through: number, rowsMax: number): readonly Candidate[] {
    const { counts, statements } = this.#database;
    const kindsJson = JSON.stringify(kinds);
    const found: Candidate[] = [];
    for (const span of counts.spans(kinds, after, through)) {
      const left = rowsMax - found.length;
      found.push(...(statements.pendingSequences.all(span.after, span.through, kindsJson, null, left) as Candidate[]));
      if (found.length >= rowsMax) break;
    }
    return found;
  }
}

type DeadLetter = {
  readonly number: number;
  readonly uplink: string;
  readonly id: string;
  readonly kind: RecordKind;
  readonly timestamp: number;
};

function sequenceOf(id: string): number {
  return Number(id.slice(id.lastIndexOf('/') + 1));
}

/**
 * Returns the kinds of undelivered record that may be deleted for a newcomer: group by group, each oldest first.
 * Alarms are last, and only for an alarm or a loss. Losses stay: there is one for each uplink, kind and reason. With
 * drop-samples-first, a sample never replaces a verdict.
 */
export function dropOrder(onFull: OutboxConfig['onFull'], newcomer: RecordKind): readonly (readonly RecordKind[])[] {
  const alarms: readonly (readonly RecordKind[])[] = newcomer === 'alarm' || newcomer === 'loss' ? [['alarm']] : [];
  switch (onFull) {
    case 'drop-samples-first':
      return newcomer === 'sample' ? [['sample']] : [['sample'], ['verdict', 'start', 'output'], ...alarms];
    case 'drop-oldest':
      return [['sample', 'verdict', 'start', 'output'], ...alarms];
    case 'reject-new':
      return [];
  }
}

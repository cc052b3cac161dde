import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { RecordKind } from '../../domain/record/record.ts';
import { recordKinds } from '../../domain/record/record.ts';
import type { Space } from '../file/database-file.ts';
import { PAGE_BYTES, SpaceGauge } from '../file/database-file.ts';
import type { OutboxConfig } from '../file/outbox-config.ts';
import type { OutboxDatabase } from './outbox-database.ts';

/** Rows of one delete: deleting 500,000 at once made 151 MiB of WAL. */
const DELETE_ROWS_MAX = 2000;
/** Deletes in a row before one commit; what is not free then is refused. */
const DELETES_MAX = 50;
/** Room left over by everything but alarms and losses: for those, and for the bookkeeping of the deletes. */
const SPARE_BYTES = 32 * PAGE_BYTES;
/** Where nothing was old enough, the oldest rows are looked at again after this, or sooner where the retention is short. */
const EXPIRE_LOOK_MS = 10_000;
/** Room that alarms and losses leave over. */
const SPARE_BYTES_MIN = 8 * PAGE_BYTES;

/** Bytes of a row in addition to its body and watch. */
export const ROW_BYTES = 64;

type Candidate = { readonly sequence: number; readonly kind: RecordKind; readonly timestamp: number };

/** What may be deleted to make room, in the order it goes. */
type Step = { readonly kinds: readonly RecordKind[]; readonly delivered: boolean };

/** Who leaves the outbox, and when: by age once delivered, by policy once full. */
export class RecordSpace {
  readonly #database: OutboxDatabase;
  readonly #config: OutboxConfig;
  readonly #gauge: SpaceGauge;
  #nothingExpiredMs = -Infinity;

  constructor(database: OutboxDatabase, config: OutboxConfig) {
    this.#database = database;
    this.#config = config;
    this.#gauge = new SpaceGauge(database.sqlite, config.maxSizeBytes);
  }

  get space(): Space {
    return this.#gauge.read();
  }

  /**
   * Makes room for `bytes` more.
   *
   * @param newcomer Kind of the least of the drafts that want in: nothing that counts for more goes for it.
   * @returns False where what is left may not go.
   */
  makeRoom(bytes: number, newcomer: RecordKind, nowMs: EpochMs): boolean {
    // Rows, their index entries and split pages: twice the bodies.
    const urgent = newcomer === 'alarm' || newcomer === 'loss';
    const neededBytes = 2 * bytes + (urgent ? SPARE_BYTES_MIN : SPARE_BYTES);
    if (this.#free() >= neededBytes) return true;
    // A little more than needed, so that not every commit has to delete.
    const wantedBytes = neededBytes + Math.min(this.#config.maxSizeBytes / 100, 8e6);
    for (let deletes = 0; deletes < DELETES_MAX && this.#free() < wantedBytes; deletes += 1)
      if (!this.#deleteSome(newcomer, nowMs)) break;
    return this.#free() >= neededBytes;
  }

  /** Deletes what every uplink has and is older than the retention, a chunk a call. @returns True where there may be more. */
  expire(nowMs: EpochMs): boolean {
    const { retentionMs } = this.#config;
    // Also after the clock was set back.
    if (Math.abs(nowMs - this.#nothingExpiredMs) < Math.min(EXPIRE_LOOK_MS, retentionMs / 10)) return false;
    const oldestMs = nowMs - retentionMs;
    for (const kind of recordKinds) {
      const found = this.#oldest([kind], this.#database.deliveredThrough(kind), 0);
      const expired = found.filter(({ timestamp }) => timestamp < oldestMs);
      if (expired.length === 0) continue;
      this.#database.commit(() => this.#database.remove(expired));
      return true;
    }
    this.#nothingExpiredMs = nowMs;
    return false;
  }

  /** Keeps `deadLettersMax` dead letters; within `commit`. */
  trimDeadLetters(nowMs: EpochMs): void {
    const { statements } = this.#database;
    const over = Number(statements.deadLetterCount.get()) - this.#config.deadLettersMax;
    if (over <= 0) return;
    statements.removeOldestDeadLetters.run(over);
    this.#database.addLoss({ kind: 'unknown', reason: 'dead-letters-full', from: 0, to: 0, count: over }, nowMs);
  }

  #free(): number {
    const { bytesUsed, bytesMax } = this.space;
    return bytesMax - bytesUsed;
  }

  #deleteSome(newcomer: RecordKind, nowMs: EpochMs): boolean {
    for (const { kinds, delivered } of this.#steps(newcomer)) {
      const candidates = delivered
        ? kinds.flatMap((kind) => this.#oldest([kind], this.#database.deliveredThrough(kind), 0))
        : this.#oldest(kinds, this.#database.sequence, 0);
      const chosen = candidates.toSorted((a, b) => a.sequence - b.sequence).slice(0, DELETE_ROWS_MAX);
      if (chosen.length === 0) continue;
      this.#database.commit(() => {
        this.#database.remove(chosen);
        if (!delivered) this.#rememberLoss(chosen, nowMs);
      });
      return true;
    }
    return false;
  }

  #steps(newcomer: RecordKind): readonly Step[] {
    const delivered = { kinds: recordKinds, delivered: true };
    return [delivered, ...dropOrder(this.#config.onFull, newcomer).map((kinds) => ({ kinds, delivered: false }))];
  }

  #rememberLoss(dropped: readonly Candidate[], nowMs: EpochMs): void {
    const groups = Map.groupBy(dropped, ({ sequence, kind }) => `${kind}/${this.#database.epochAt(sequence)}`);
    for (const group of groups.values()) {
      const [first, last] = [group[0], group.at(-1)];
      if (first === undefined || last === undefined) continue;
      this.#database.addLoss(
        { kind: first.kind, reason: 'outbox-full', from: first.sequence, to: last.sequence, count: group.length },
        nowMs,
        this.#database.epochAt(first.sequence),
      );
    }
  }

  #oldest(kinds: readonly RecordKind[], through: number, after: number): readonly Candidate[] {
    const { counts, statements } = this.#database;
    const kindsJson = JSON.stringify(kinds);
    const found: Candidate[] = [];
    for (const span of counts.spans(kinds, after, through)) {
      const left = DELETE_ROWS_MAX - found.length;
      found.push(...(statements.pendingSequences.all(span.after, span.through, kindsJson, left) as Candidate[]));
      if (found.length >= DELETE_ROWS_MAX) break;
    }
    return found;
  }
}

/**
 * Which undelivered records go for a newcomer, group by group, each oldest first. Alarms go last, for an alarm
 * only; a sample never pushes out a verdict where samples are to go first.
 */
export function dropOrder(onFull: OutboxConfig['onFull'], newcomer: RecordKind): readonly (readonly RecordKind[])[] {
  const alarms: readonly (readonly RecordKind[])[] =
    newcomer === 'alarm' || newcomer === 'loss' ? [['loss'], ['alarm']] : [];
  switch (onFull) {
    case 'drop-samples-first':
      return newcomer === 'sample' ? [['sample']] : [['sample'], ['verdict'], ...alarms];
    case 'drop-oldest':
      return [['sample', 'verdict'], ...alarms];
    case 'reject-new':
      return [];
  }
}

import { HISTORY } from '../../contracts/record-store.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { RecordKind } from '../../domain/record/record.ts';
import type { Refusal } from '../file/refusals.ts';
import type { Epochs } from './epochs.ts';
import type { LossCounts } from './loss-counts.ts';
import type { OutboxCursors } from './outbox-cursors.ts';
import type { LossRow, OutboxStatements } from './outbox-schema.ts';
import type { UplinkCursor } from './uplink-cursor.ts';

/** Recipient of a loss that concerns no uplink. Not a valid name of an uplink. */
export const LOCAL = '/local';

/** Name of the counts of this life in `meta`. */
const LIFE_COUNTS = 'life-losses';
/** Name of the ranges of quarantined files in `meta`. */
export const MISSING = 'missing';

/** Sequences that were given out and that the file lacks. */
export type MissingRange = { readonly epoch: string; readonly from: number; readonly to: number };

/** Sequences that a quarantined file may hold. Stored in the new file until the salvage ends. */
export type QuarantinedRange = MissingRange & {
  /** Name of the file's folder in the quarantine; undefined if an earlier version stored it, for the only one. */
  readonly folder?: string | undefined;
};

/** Returns the ranges of a value of `meta`. */
export function quarantinedRanges(text: unknown): readonly QuarantinedRange[] {
  if (typeof text !== 'string') return [];
  const stored = JSON.parse(text) as readonly QuarantinedRange[] | MissingRange;
  // Some earlier versions stored an empty folder.
  return 'epoch' in stored ? [stored] : stored.map((range) => ({ ...range, folder: range.folder || undefined }));
}

/** A record that is deleted before every uplink has it. */
export type LostRow = {
  readonly sequence: number;
  readonly kind: RecordKind | 'unknown';
  readonly timestamp: EpochMs;
  readonly original_id: string | null;
};

/** Consecutive records of one kind: every record of the kind from `from` to `to` is lost. Sequences are those of the ids. */
type Run = Omit<LossRow, 'number' | 'uplink' | 'reason' | 'watches' | 'joins'> & {
  readonly joins: boolean;
  /** Sequence of the last row in this file; differs from `to_sequence` for a salvaged row. */
  readonly lastSequence: number;
};

/** Last run of an uplink, kind, reason and epoch, which the next one may continue. */
type OpenRun = { readonly number: number | undefined; readonly lastSequence: number };

/**
 * Lost records, by the uplink that lost them, until loss records report them. Writes are within `commit`.
 *
 * A loss concerns the uplinks that take the kind and have not acknowledged the record; if there is none, it is LOCAL.
 */
export class LossLedger {
  readonly #epochs: Epochs;
  readonly #statements: OutboxStatements;
  readonly #cursors: OutboxCursors;
  readonly #counts: LossCounts;
  readonly #open = new Map<string, OpenRun>();

  constructor(statements: OutboxStatements, epochs: Epochs, cursors: OutboxCursors, counts: LossCounts) {
    this.#epochs = epochs;
    this.#statements = statements;
    this.#cursors = cursors;
    this.#counts = counts;
    counts.load(statements.getMeta.get(LIFE_COUNTS) as string | undefined);
  }

  /**
   * Records that are deleted undelivered.
   *
   * @param rows Oldest first.
   * @param order 'oldest-first' if every older record of the kinds is gone, except records that uplinks have read: then runs
   *   span the records of other kinds. With 'any', a run has consecutive sequences.
   */
  dropped(rows: readonly LostRow[], reason: string, order: 'oldest-first' | 'any'): void {
    const lost = new Set<LostRow>();
    for (const { interest, cursor } of this.#cursors.positions.values()) {
      const own = rows.filter(({ sequence, kind }) => {
        const isTaken = kind === 'unknown' || interest.kinds.includes(kind);
        return isTaken && cursor.rangeOf(sequence, sequence) !== undefined;
      });
      for (const row of own) lost.add(row);
      this.#addRuns(interest.id, own, reason, (after, sequence) =>
        order === 'any' ? sequence === after + 1 : this.#isContinued(cursor, after, sequence),
      );
    }
    this.#countTotal([...lost], reason);
  }

  /** Records of one uplink, which was to get them. */
  droppedOf(uplink: string, rows: readonly LostRow[], reason: string): void {
    this.#addRuns(uplink, rows, reason, (after, sequence) => sequence === after + 1);
    this.#countTotal(rows, reason);
  }

  /** Records that were never stored. Samples of the history concern no uplink. */
  refused(refusals: readonly Refusal[]): void {
    for (const { kind, reason, count, fromMs, toMs, watches } of refusals) {
      const interested = [...this.#cursors.positions.values()].filter(({ interest }) =>
        interest.kinds.some((own) => own === kind),
      );
      const uplinks = interested.length === 0 ? [LOCAL] : interested.map(({ interest }) => interest.id);
      const epoch = this.#epochs.present;
      const row = { kind, reason, epoch, from_sequence: 0, to_sequence: 0, count, from_ms: fromMs, to_ms: toMs };
      for (const uplink of uplinks) {
        this.#statements.addLoss.run({ ...row, uplink, watches: JSON.stringify(watches), joins: 0 });
        this.#counts.add({ uplink, kind, reason, count });
      }
      this.#addTotal(kind, reason, count);
    }
  }

  /** Sequences of unknown kinds. `count` of them were given out and are missing. */
  missingRows({ epoch, from, to }: MissingRange, count: number, reason: string, nowMs: EpochMs): void {
    const isOurs = this.#epochs.names.includes(epoch);
    const losers = [...this.#cursors.positions.values()].flatMap(({ interest: { id }, cursor }) => {
      const first = isOurs ? Math.max(from, cursor.acknowledged + 1) : from;
      return first > to ? [] : [{ uplink: id, first }];
    });
    for (const { uplink, first } of losers.length === 0 ? [{ uplink: LOCAL, first: from }] : losers) {
      const own = Math.min(count, to - first + 1);
      const range = { epoch, from_sequence: first, to_sequence: to, from_ms: nowMs, to_ms: nowMs };
      this.#statements.addLoss.run({ ...range, uplink, kind: 'unknown', reason, count: own, watches: '{}', joins: 0 });
      this.#counts.add({ uplink, kind: 'unknown', reason, count: own });
    }
    this.#addTotal('unknown', reason, count);
  }

  /** Records lost since the file was created, each counted once. */
  get total(): number {
    return Number(this.#statements.getMeta.get('lost') ?? 0);
  }

  /** They count as lost only after the salvage. */
  get missing(): readonly QuarantinedRange[] {
    return quarantinedRanges(this.#statements.getMeta.get(MISSING));
  }

  setMissing(ranges: readonly QuarantinedRange[]): void {
    if (ranges.length === 0) this.#statements.removeMeta.run(MISSING);
    else this.#statements.setMeta.run(MISSING, JSON.stringify(ranges));
  }

  /** The rows of the ledger were reported. A later run may still continue their last ones. */
  reported(): void {
    for (const [key, { lastSequence }] of this.#open) this.#open.set(key, { number: undefined, lastSequence });
  }

  /** Within `commit`, at its end. */
  save(): void {
    const counts = this.#counts.json();
    if (counts !== undefined) this.#statements.setMeta.run(LIFE_COUNTS, counts);
  }

  committed(): void {
    this.#counts.commit();
  }

  rolledBack(): void {
    this.#counts.rollback();
    this.#open.clear();
  }

  #addRuns(
    uplink: string,
    rows: readonly LostRow[],
    reason: string,
    isContinued: (after: number, sequence: number) => boolean,
  ): void {
    const runs = new Map<string, Run>();
    for (const row of rows) {
      const { epoch, sequence } = this.#idOf(row);
      const key = `${uplink}/${row.kind}/${reason}/${epoch}`;
      const run = runs.get(key);
      const last = run?.lastSequence ?? this.#open.get(key)?.lastSequence;
      const joins = last !== undefined && isContinued(last, row.sequence);
      if (run !== undefined && !joins) this.#write(key, uplink, reason, run);
      const times = { from_ms: row.timestamp, to_ms: row.timestamp };
      const single = { kind: row.kind, epoch, from_sequence: sequence, to_sequence: sequence, count: 1, ...times };
      runs.set(
        key,
        run === undefined || !joins
          ? { ...single, joins, lastSequence: row.sequence }
          : {
              ...run,
              to_sequence: sequence,
              count: run.count + 1,
              from_ms: Math.min(run.from_ms, row.timestamp),
              to_ms: Math.max(run.to_ms, row.timestamp),
              lastSequence: row.sequence,
            },
      );
    }
    for (const [key, run] of runs) this.#write(key, uplink, reason, run);
  }

  #write(key: string, uplink: string, reason: string, { lastSequence, joins, ...run }: Run): void {
    const { kind, count } = run;
    let number = joins ? this.#open.get(key)?.number : undefined;
    if (number === undefined) {
      const row = { ...run, uplink, reason, watches: '{}', joins: joins ? 1 : 0 };
      number = Number(this.#statements.addLoss.run(row).lastInsertRowid);
    } else this.#statements.extendLoss.run(run.to_sequence, count, run.from_ms, run.to_ms, number);
    this.#open.set(key, { number, lastSequence });
    this.#counts.add({ uplink, kind, reason, count });
  }

  /** Between the two sequences, no record of a dropped kind is left for the uplink. */
  #isContinued(cursor: UplinkCursor, after: number, sequence: number): boolean {
    if (sequence <= after || cursor.rangeOf(after, sequence) === undefined) return false;
    return !this.#cursors.handedOut.between(after, sequence);
  }

  #idOf({ sequence, original_id: id }: LostRow): { readonly epoch: string; readonly sequence: number } {
    if (id === null) return { epoch: this.#epochs.at(sequence) ?? '', sequence };
    const [epoch = '', original = ''] = id.split('/').slice(-2);
    return { epoch, sequence: Number(original) };
  }

  #countTotal(rows: readonly LostRow[], reason: string): void {
    for (const [kind, group] of Map.groupBy(rows, (row) => row.kind)) this.#addTotal(kind, reason, group.length);
  }

  #addTotal(kind: string, reason: string, count: number): void {
    if (kind !== HISTORY) this.#statements.setMeta.run('lost', String(this.total + count));
    this.#counts.add({ uplink: undefined, kind, reason, count });
  }
}

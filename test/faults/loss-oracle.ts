import type { StoredRecord } from '../../src/domain/record/record.ts';
import type { StorageReport } from '../../src/outbox/file/storage-protocol.ts';

type Loss = {
  readonly records: string;
  readonly epoch: string;
  readonly count: number;
  readonly ranges: readonly (readonly [number, number])[];
};

/** What one uplink is told about its losses, and what it should be told. */
export class LossOracle {
  readonly #losses = new Map<string, Loss>();
  /** Kind of every record that was reported as stored, by id. */
  readonly #kinds: ReadonlyMap<string, string>;
  /** Records that arrived and whose acknowledgement is not on disk: after a crash they may be dropped, and are then reported. */
  readonly #unsettled = new Set<string>();
  /** Records whose acknowledgement may be in memory only. */
  #unsaved: string[] = [];
  readonly #uplink: string;

  constructor(uplink: string, kinds: ReadonlyMap<string, string>) {
    this.#uplink = uplink;
    this.#kinds = kinds;
  }

  received({ id, kind, body }: StoredRecord): void {
    this.#unsettled.add(id);
    if (kind === 'loss') this.#losses.set(id, JSON.parse(body) as Loss);
  }

  acknowledged(ids: readonly string[]): void {
    this.#unsaved.push(...ids);
    for (const id of ids) this.#unsettled.delete(id);
  }

  /** The positions of the uplinks are on disk. */
  saved(): void {
    this.#unsaved = [];
  }

  /** The file was closed or its owner ended: positions that were not saved are lost. */
  reopened(): void {
    for (const id of this.#unsaved) this.#unsettled.add(id);
    this.#unsaved = [];
  }

  /**
   * Returns broken promises: a record that is neither received nor in a range, or in both; loss records that do not add up with
   * their ranges, with the records that were refused, or with the metrics.
   *
   * @param refused Records that were never stored.
   * @param report Last report of the storage; undefined if its counts are not those of the whole run.
   */
  check(received: ReadonlySet<string>, refused: number, report: StorageReport | undefined): readonly string[] {
    const broken: string[] = [];
    let named = 0;
    for (const [id, kind] of this.#kinds) {
      const isNamed = this.#isNamed(id, kind);
      if (isNamed) named += 1;
      if (!isNamed && !received.has(id))
        broken.push(`${this.#uplink} never received ${id}, and no loss record names it`);
      if (isNamed && received.has(id) && !this.#unsettled.has(id))
        broken.push(`${this.#uplink} received ${id}, and a loss record names it`);
    }
    const losses = [...this.#losses.values()];
    const withIds = sum(losses.filter(({ ranges }) => ranges.length > 0));
    if (withIds !== named)
      broken.push(`${this.#uplink}: loss records count ${withIds} records with ids, and name ${named}`);
    if (sum(losses) - withIds !== refused)
      broken.push(
        `${this.#uplink}: loss records count ${sum(losses) - withIds} records without ids, and ${refused} were refused`,
      );
    const counted = report?.lost.filter(({ uplink }) => uplink === this.#uplink);
    if (counted !== undefined && sum(counted) !== sum(losses))
      broken.push(`${this.#uplink}: the metrics count ${sum(counted)} losses, its loss records ${sum(losses)}`);
    return broken;
  }

  #isNamed(id: string, kind: string): boolean {
    const [, epoch, sequence] = id.split('/');
    return [...this.#losses.values()].some(
      (loss) =>
        loss.epoch === epoch &&
        loss.records === kind &&
        loss.ranges.some(([from, to]) => from <= Number(sequence) && Number(sequence) <= to),
    );
  }
}

function sum(counts: readonly { readonly count: number }[]): number {
  return counts.reduce((total, { count }) => total + count, 0);
}

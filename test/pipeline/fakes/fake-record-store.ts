import type { OutboxStats, RecordStore } from '../../../src/contracts/record-store.ts';
import type { AlarmTransition } from '../../../src/domain/alarm/alarm.ts';
import type { RecordBatch } from '../../../src/domain/record/record-batch.ts';
import type { RecordDraft, StoredRecord } from '../../../src/domain/record/record.ts';
import { draftBody } from '../../support/draft-body.ts';
import { OperatingError } from '../../../src/platform/errors.ts';

/** A store in memory with fault switches; ids are the numbers of the records. */
export class FakeRecordStore implements RecordStore {
  /** Drafts of each append, in order. */
  readonly appends: (readonly RecordDraft[])[] = [];
  /** Transitions found at start. */
  restored: readonly AlarmTransition[] = [];
  /** While set, `append` and `alarms` fail. */
  down = false;
  /** Kinds that `append` drops, as `onFull` does. */
  droppedKinds: readonly RecordDraft['kind'][] = [];
  /** While set, `append` fails with it. */
  refusal: OperatingError | undefined;
  /** While set, `append` calls that bring an alarm fail. */
  alarmsDown = false;
  /** While set, appends wait until `release`. */
  held = false;
  /** Drafts that the pipeline gave up. */
  readonly losses: { readonly kind: RecordDraft['kind']; readonly reason: string }[] = [];
  #sequence = 0;
  readonly #waiting: (() => void)[] = [];

  async append(drafts: readonly RecordDraft[]): Promise<readonly (string | undefined)[]> {
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.down) throw new OperatingError('outbox-unavailable', 'retry', 'the disk is gone');
    if (this.refusal !== undefined) throw this.refusal;
    if (this.alarmsDown && drafts.some(({ alarm }) => alarm !== undefined))
      throw new OperatingError('outbox-unavailable', 'retry', 'the alarm database is gone');
    this.appends.push(drafts);
    return drafts.map(({ kind }) => (this.droppedKinds.includes(kind) ? undefined : String((this.#sequence += 1))));
  }

  async alarms(): Promise<readonly AlarmTransition[]> {
    if (this.down) throw new OperatingError('outbox-unavailable', 'retry', 'the disk is gone');
    return this.restored;
  }

  lost(drafts: readonly RecordDraft[], reason: string): void {
    this.losses.push(...drafts.map(({ kind }) => ({ kind, reason })));
  }

  release(): void {
    this.held = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  get drafts(): readonly RecordDraft[] {
    return this.appends.flat();
  }

  bodies(kind: RecordDraft['kind']): readonly RecordDraft['body'][] {
    return this.drafts.filter((draft) => draft.kind === kind).map(draftBody);
  }

  async read(): Promise<readonly RecordBatch[]> {
    return [];
  }

  async acknowledge(): Promise<void> {}
  async setAside(): Promise<void> {}

  async history(): Promise<readonly StoredRecord[]> {
    return [];
  }

  stats(): Promise<OutboxStats> {
    return Promise.reject(new OperatingError('outbox-unavailable', 'retry', 'no statistics here'));
  }

  onCommit(): () => void {
    return () => undefined;
  }

  lastTickMs(): number {
    return 0;
  }
}

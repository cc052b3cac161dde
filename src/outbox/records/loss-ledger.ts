import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { Loss } from '../file/storage-protocol.ts';
import type { Epochs } from './epochs.ts';
import type { OutboxStatements } from './outbox-schema.ts';

/** Sequences that the new file lacks and a quarantined file may hold. Stored in the new file until the salvage ends. */
export type MissingRange = { readonly epoch: string; readonly from: number; readonly to: number };

/** Counts lost records until loss records report them to the uplinks. Writes are within `commit`. */
export class LossLedger {
  readonly #epochs: Epochs;
  readonly #statements: OutboxStatements;
  readonly #sinceOpen = new Map<string, { kind: string; reason: string; count: number }>();

  constructor(statements: OutboxStatements, epochs: Epochs) {
    this.#epochs = epochs;
    this.#statements = statements;
  }

  /** @param epoch Epoch of the lost sequences; the current one for records that never got a sequence. */
  add(loss: Loss, nowMs: EpochMs, epoch = this.#epochs.current): void {
    const { kind, reason, from, to, count } = loss;
    this.#statements.addLoss.run(kind, reason, epoch ?? '', from, to, count, nowMs);
    this.#statements.setMeta.run('lost', String(this.total + count));
    const key = `${kind}/${reason}`;
    this.#sinceOpen.set(key, { kind, reason, count: count + (this.#sinceOpen.get(key)?.count ?? 0) });
  }

  /** Records lost since the file was created. */
  get total(): number {
    return Number(this.#statements.getMeta.get('lost') ?? 0);
  }

  /** Records lost since the file was opened, by kind and reason. */
  get sinceOpen(): readonly { readonly kind: string; readonly reason: string; readonly count: number }[] {
    return [...this.#sinceOpen.values()];
  }

  /** Sequences that a quarantined file may still hold. They count as lost only after its salvage. */
  get missing(): MissingRange | undefined {
    const text = this.#statements.getMeta.get('missing') as string | undefined;
    return text === undefined ? undefined : (JSON.parse(text) as MissingRange);
  }

  setMissing(missing: MissingRange | undefined): void {
    if (missing === undefined) this.#statements.removeMeta.run('missing');
    else this.#statements.setMeta.run('missing', JSON.stringify(missing));
  }
}

import type { RecordDraft } from '../../domain/record/record.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import { errorCode, OperatingError } from '../../platform/errors.ts';
import { type AppendBatch, type BatchColumns, batchOf } from '../file/append-batch.ts';
import type { AppendOutcome } from '../file/storage-protocol.ts';

/** Batches sent at a time: a full batch is ready when the worker has finished the current one. */
const IN_FLIGHT_MAX = 2;
/** Wait before a batch that could not be stored is sent again. */
const RETRY_MS = 250;
/** Time for the last attempts when the agent stops. */
const DRAIN_MS = 5000;
/** Errors after which a batch waits and is sent again: the disk or the worker failed, not the batch. */
const retryCodes: ReadonlySet<string> = new Set(['outbox-unavailable', 'rpc-closed', 'rpc-timeout']);

export type AppendQueueOptions = {
  readonly clock: Clock;
  readonly commitIntervalMs: number;
  readonly commitRowsMax: number;
  readonly commitBytesMax: number;
  readonly queueRowsMax: number;
  readonly queueBytesMax: number;
  readonly recordBytesMax: number;
  /** True if the outbox refuses new records when it is full (`onFull: reject-new`), instead of dropping records. */
  readonly rejectsNew: boolean;
  readonly commit: (batch: AppendBatch) => Promise<AppendOutcome>;
};

type Entry = {
  readonly drafts: readonly RecordDraft[];
  readonly bodies: readonly (string | undefined)[];
  readonly bytes: number;
  readonly resolve: (ids: readonly (string | undefined)[]) => void;
  readonly reject: (error: unknown) => void;
};

/** A batch that was sent and is not stored yet. */
type SentBatch = {
  readonly entries: readonly Entry[];
  readonly rows: number;
  readonly bytes: number;
  readonly message: Omit<AppendBatch, 'isRetry'>;
  state: 'in-flight' | 'failed';
};

/**
 * Group commit: gathers append calls into transactions.
 *
 * The first append after a pause is committed immediately, so that a quiet stream has the latency of one fsync. Under
 * load the disk sets the pace: a commit begins when the last one has returned, and at least `commitIntervalMs` after it
 * began. It contains what arrived meanwhile. `commitRowsMax` rows, `commitBytesMax` bytes and an alarm do not wait.
 * Appends above `queueRowsMax` rows or `queueBytesMax` bytes are refused.
 *
 * While the disk is full, locked or failing, batches stay in the queue in their order and are sent again every `RETRY_MS`.
 */
export class AppendQueue {
  readonly #options: AppendQueueOptions;
  #entries: Entry[] = [];
  #rows = 0;
  #bytes = 0;
  #urgent = false;
  /** Oldest first. */
  #sent: SentBatch[] = [];
  #batches = 0;
  #drainEndMs = Infinity;
  #committedMs = -Infinity;
  #timer: Timer | undefined;
  #scheduled = false;
  readonly #onSettled: (() => void)[] = [];

  constructor(options: AppendQueueOptions) {
    this.#options = options;
  }

  /** Rows that are not on disk yet. */
  get rows(): number {
    return this.#rows + sum(this.#sent.map(({ rows }) => rows));
  }

  /** @throws {OperatingError} 'outbox-queue-full' (retry), 'record-too-large' (reject), or an error of `commit`. */
  push(drafts: readonly RecordDraft[]): Promise<readonly (string | undefined)[]> {
    if (drafts.length === 0) return Promise.resolve([]);
    const bodies = drafts.map(({ body, columns }) => (columns === undefined ? JSON.stringify(body) : undefined));
    const sizes = drafts.map(({ columns }, index) => columns?.bytes.length ?? Buffer.byteLength(bodies[index] ?? ''));
    const refusal = this.#refusal(sizes);
    if (refusal !== undefined) return Promise.reject(refusal);
    const bytes = sum(sizes);
    return new Promise((resolve, reject) => {
      this.#entries.push({ drafts, bodies, bytes, resolve, reject });
      this.#rows += drafts.length;
      this.#bytes += bytes;
      if (drafts.some(({ alarm }) => alarm !== undefined)) this.#urgent = true;
      this.#scheduleSoon();
    });
  }

  /** Sends every waiting record. Resolves when all are stored, or refused after `DRAIN_MS`. */
  async drain(): Promise<void> {
    this.#drainEndMs = this.#options.clock.monotonicMs() + DRAIN_MS;
    while (this.#entries.length > 0 || this.#sent.length > 0) {
      this.#urgent = true;
      this.#schedule();
      await new Promise<void>((resolve) => this.#onSettled.push(resolve));
    }
  }

  #refusal(sizes: readonly number[]): OperatingError | undefined {
    const { queueRowsMax, queueBytesMax, recordBytesMax } = this.#options;
    const large = sizes.find((bytes) => bytes > recordBytesMax);
    if (large !== undefined)
      return new OperatingError(
        'record-too-large',
        'reject',
        `A record has ${large} bytes; outbox.recordBytesMax is ${recordBytesMax} bytes`,
      );
    const failed = this.#sent.filter(({ state }) => state === 'failed');
    const rows = this.#rows + sum(failed.map((batch) => batch.rows));
    const bytes = this.#bytes + sum(failed.map((batch) => batch.bytes));
    if (rows + sizes.length <= queueRowsMax && bytes + sum(sizes) <= queueBytesMax) return undefined;
    return new OperatingError(
      'outbox-queue-full',
      'retry',
      `${rows} records (${bytes} bytes) wait for the disk; ${sizes.length} more exceed ` +
        `outbox.queueRowsMax (${queueRowsMax}) or outbox.queueBytesMax (${queueBytesMax})`,
    );
  }

  /** Schedules after the current turn, so that the appends of one scan share the first commit. */
  #scheduleSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#sent.some(({ state }) => state === 'failed')) return this.#sendAgainSoon();
    const { clock, commitIntervalMs } = this.#options;
    while (this.#entries.length > 0 && this.#sent.length < IN_FLIGHT_MAX) {
      if (!this.#due()) {
        if (this.#sent.length > 0) return undefined;
        const waitMs = this.#committedMs + commitIntervalMs - clock.monotonicMs();
        if (waitMs > 0) return this.#scheduleIn(waitMs);
      }
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#send();
    }
    return undefined;
  }

  #scheduleIn(waitMs: number, run = () => this.#schedule()): void {
    this.#timer ??= this.#options.clock.setTimer(() => {
      this.#timer = undefined;
      run();
    }, waitMs);
  }

  /** Sends failed batches again in their order, once every answer has arrived. */
  #sendAgainSoon(): void {
    if (this.#sent.some(({ state }) => state === 'in-flight')) return;
    this.#scheduleIn(RETRY_MS, () => {
      for (const batch of this.#sent) void this.#commit(batch, true);
    });
  }

  #due(): boolean {
    const { commitRowsMax, commitBytesMax } = this.#options;
    return this.#urgent || this.#rows >= commitRowsMax || this.#bytes >= commitBytesMax;
  }

  #send(): void {
    const entries = this.#take();
    const batch: SentBatch = {
      entries,
      rows: sum(entries.map(({ drafts }) => drafts.length)),
      bytes: sum(entries.map(({ bytes }) => bytes)),
      message: { ...columnsOf(entries), number: (this.#batches += 1) },
      state: 'in-flight',
    };
    this.#sent.push(batch);
    this.#committedMs = this.#options.clock.monotonicMs();
    void this.#commit(batch, false);
  }

  async #commit(batch: SentBatch, isRetry: boolean): Promise<void> {
    batch.state = 'in-flight';
    try {
      settle(batch.entries, await this.#options.commit({ ...batch.message, isRetry }), this.#options.rejectsNew);
    } catch (error) {
      if (this.#isRetryable(error)) batch.state = 'failed';
      else for (const entry of batch.entries) entry.reject(error);
    }
    if (batch.state !== 'failed') this.#sent = this.#sent.filter((sent) => sent !== batch);
    this.#schedule();
    for (const resolve of this.#onSettled.splice(0)) resolve();
  }

  #isRetryable(error: unknown): boolean {
    return retryCodes.has(errorCode(error)) && this.#options.clock.monotonicMs() < this.#drainEndMs;
  }

  #take(): readonly Entry[] {
    const { commitRowsMax, commitBytesMax } = this.#options;
    let [count, rows, bytes] = [0, 0, 0];
    for (const entry of this.#entries) {
      if (count > 0 && (rows + entry.drafts.length > commitRowsMax || bytes + entry.bytes > commitBytesMax)) break;
      count += 1;
      rows += entry.drafts.length;
      bytes += entry.bytes;
    }
    const taken = this.#entries.slice(0, count);
    this.#entries = this.#entries.slice(count);
    this.#rows -= rows;
    this.#bytes -= bytes;
    this.#urgent &&= this.#entries.some(({ drafts }) => drafts.some(({ alarm }) => alarm !== undefined));
    return taken;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function columnsOf(entries: readonly Entry[]): BatchColumns {
  return batchOf(
    entries.flatMap(({ drafts }) => drafts),
    entries.flatMap(({ bodies }) => bodies),
  );
}

function settle(entries: readonly Entry[], { ids, refusal }: AppendOutcome, rejectsNew: boolean): void {
  let offset = 0;
  for (const { drafts, resolve, reject } of entries) {
    const own = ids.slice(offset, offset + drafts.length);
    offset += drafts.length;
    const refused = drafts.filter(
      ({ alarm }, index) => own[index] === undefined && (rejectsNew || alarm !== undefined),
    );
    if (refused.length === 0) resolve(own);
    else if (refusal !== undefined && drafts.some(({ alarm }) => alarm !== undefined))
      reject(new OperatingError('outbox-unavailable', 'retry', refusal));
    else
      reject(
        new OperatingError(
          'outbox-full',
          'retry',
          `The outbox is full: ${refused.length} of ${own.length} records were not stored`,
        ),
      );
  }
}

import type { ConnectionState } from '../contracts/uplink.ts';
import type { UplinkRecords } from '../contracts/record-store.ts';
import type { RecordBatch } from '../domain/record/record-batch.ts';
import { formatDuration } from '../domain/duration.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode, errorMessage, type OperatingError } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import type { Settlement } from './in-flight-batches.ts';
import { uplinkMetrics } from './uplink-metrics.ts';

/** Interval of the queries of the backlog. */
const LAG_INTERVAL_MS = 10_000;

/** Refused records stay in health this long at least, so that accepted batches between refused ones do not hide them. */
const REFUSAL_SHOWN_MS = 60_000;

type Failure = { readonly reason: string; readonly code?: string | undefined };
type Lag = { readonly waiting: number; readonly oldestWaitingMs: number | undefined };

/** Health, log and metrics of one uplink, as component `uplink/<id>`. */
export class UplinkReport {
  readonly #id: string;
  readonly #records: UplinkRecords;
  readonly #deps: Deps;
  readonly #health: ComponentHealth;
  readonly #metrics;
  #lag: Lag = { waiting: 0, oldestWaitingMs: undefined };
  #lagTimer: Timer | undefined;
  #failure: Failure | undefined;
  /** The records that were refused since the receiver was last in order. */
  #refusal: { readonly records: number; readonly error: OperatingError; readonly atMs: number } | undefined;
  #storeFailure: Failure | undefined;
  #connection: ConnectionState | undefined;
  #closed = false;

  constructor(id: string, records: UplinkRecords, deps: Deps) {
    this.#id = id;
    this.#records = records;
    this.#deps = deps;
    this.#health = deps.health.component(`uplink/${id}`);
    this.#metrics = deps.metrics.of(uplinkMetrics);
  }

  /** Starts to measure the lag. */
  start(): void {
    void this.#measureLag();
  }

  connection(state: ConnectionState): void {
    this.#connection = state;
    if (state.connected) this.#failure = undefined;
    this.#show();
  }

  /** The receiver acknowledged a batch, or no record waits. */
  ok(): void {
    this.#failure = undefined;
    const { atMs } = this.#refusal ?? { atMs: -Infinity };
    if (this.#deps.clock.monotonicMs() - atMs >= REFUSAL_SHOWN_MS) this.#refusal = undefined;
    this.#show();
  }

  sent(batch: RecordBatch, durationMs: number): void {
    const labels = { uplink: this.#id };
    this.#metrics.andon_uplink_records_sent_total.inc(labels, batch.length);
    this.#metrics.andon_uplink_sent_bytes_total.inc(labels, batch.bytes);
    this.#metrics.andon_uplink_send_duration_seconds.observe(labels, durationMs / 1000);
    this.ok();
  }

  failed(error: OperatingError): void {
    this.#metrics.andon_uplink_failures_total.inc({ uplink: this.#id, code: error.code });
    this.#fail({ reason: error.message, code: error.code });
  }

  split(): void {
    this.#metrics.andon_uplink_splits_total.inc({ uplink: this.#id });
  }

  storeFailed(error: unknown): void {
    this.#metrics.andon_uplink_store_failures_total.inc({ uplink: this.#id, code: errorCode(error) });
    this.#storeFailure = { reason: `The outbox failed: ${errorMessage(error)}`, code: errorCode(error) };
    this.#show();
  }

  /** A call of the outbox succeeded. */
  storeOk(): void {
    if (this.#storeFailure === undefined) return;
    this.#storeFailure = undefined;
    this.#show();
  }

  /** Logs that records became dead letters, because they are not sent again. */
  setAside(settlement: Settlement & { readonly type: 'set-aside' }): void {
    const { batch, code, reason } = settlement;
    this.#metrics.andon_uplink_dead_letters_total.inc({ uplink: this.#id, code }, batch.length);
    const fields = { uplink: this.#id, code, records: batch.length, first: batch.first.id, last: batch.last.id };
    this.#deps.log.error(fields, `Records were refused and kept as dead letters: ${reason}`);
  }

  refused(error: OperatingError, records: number): void {
    const total = (this.#refusal?.records ?? 0) + records;
    this.#refusal = { records: total, error, atMs: this.#deps.clock.monotonicMs() };
    this.#show();
  }

  close(): void {
    this.#closed = true;
    this.#lagTimer?.cancel();
    this.#health.remove();
    this.#metrics.andon_uplink_records_waiting.remove({ uplink: this.#id });
    this.#metrics.andon_uplink_oldest_waiting_seconds.remove({ uplink: this.#id });
  }

  #fail(failure: Failure): void {
    this.#failure = failure;
    this.#show();
  }

  #show(): void {
    if (this.#closed) return;
    const lost = this.#connection?.connected === false ? this.#connection : undefined;
    const failure = lost ?? this.#failure ?? this.#refusalFailure() ?? this.#storeFailure;
    if (failure === undefined) this.#health.report('ok');
    else this.#health.report('degraded', `${failure.reason}${this.#lagText()}`, failure.code);
  }

  #refusalFailure(): Failure | undefined {
    if (this.#refusal === undefined) return undefined;
    const { records, error } = this.#refusal;
    const were = records === 1 ? 'record was' : 'records were';
    return { reason: `${records} ${were} refused and kept as dead letters: ${error.message}`, code: error.code };
  }

  #lagText(): string {
    const { waiting, oldestWaitingMs } = this.#lag;
    if (waiting === 0 || oldestWaitingMs === undefined) return '';
    const ageS = Math.max(0, Math.round((this.#deps.clock.nowMs() - oldestWaitingMs) / 1000));
    return `; ${waiting} ${waiting === 1 ? 'record waits' : 'records wait'}, the oldest for ${ageS === 0 ? '0s' : formatDuration(ageS * 1000)}`;
  }

  async #measureLag(): Promise<void> {
    const lag = await this.#readLag();
    if (this.#closed) return;
    if (lag !== undefined) this.#take(lag);
    this.#lagTimer = this.#deps.clock.setTimer(() => void this.#measureLag(), LAG_INTERVAL_MS, { background: true });
  }

  /** @returns Undefined if the outbox does not answer: it reports that itself, and the last figures remain. */
  async #readLag(): Promise<Lag | undefined> {
    try {
      const { uplinks } = await this.#records.stats();
      return uplinks.find(({ uplink }) => uplink === this.#id) ?? { waiting: 0, oldestWaitingMs: undefined };
    } catch (error) {
      this.#metrics.andon_uplink_store_failures_total.inc({ uplink: this.#id, code: errorCode(error) });
      return undefined;
    }
  }

  #take(lag: Lag): void {
    this.#lag = lag;
    const ageMs = lag.oldestWaitingMs === undefined ? 0 : this.#deps.clock.nowMs() - lag.oldestWaitingMs;
    this.#metrics.andon_uplink_records_waiting.set({ uplink: this.#id }, lag.waiting);
    this.#metrics.andon_uplink_oldest_waiting_seconds.set({ uplink: this.#id }, Math.max(0, ageMs) / 1000);
    const isDegraded = (this.#failure ?? this.#refusal) !== undefined || this.#connection?.connected === false;
    if (isDegraded) this.#show();
  }
}

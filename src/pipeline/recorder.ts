import type { RecordStore } from '../contracts/record-store.ts';
import type { RecordDraft } from '../domain/record/record.ts';
import { Backoff } from '../platform/backoff.ts';
import { sleep, type Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode, errorMessage, OperatingError } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { pipelineMetrics } from './pipeline-metrics.ts';

/** Limit of alarm records that wait while the outbox accepts none. Above it, the oldest is lost, logged and counted. */
const WAITING_MAX = 1000;
/** Time for the calls in flight when the agent stops. The outbox has a limit of its own after this one. */
const STOP_MS = 2000;

/** A draft, and the action once it is stored. */
export type Entry = {
  readonly draft: RecordDraft;
  /** Must not throw. Not called for a record that the outbox drops under `onFull`, which never drops an alarm. */
  readonly stored: (id: string) => void;
};

/**
 * Stores drafts in the outbox and announces them only after that.
 *
 * If the outbox refuses, verdicts and samples are lost, because newer ones follow. They are counted and become loss records. Alarm records are kept
 * (at most `WAITING_MAX`) and go ahead of the next alarms, or are retried after a delay. They are stored in separate
 * calls, so that alarms that cannot be stored do not block verdicts and samples. Reports health `pipeline`.
 */
export class Recorder implements AsyncDisposable {
  readonly #records: RecordStore;
  readonly #deps: Deps;
  readonly #metrics;
  readonly #health: ComponentHealth;
  readonly #backoff: Backoff;
  readonly #inFlight = new Set<Promise<void>>();
  #waiting: readonly Entry[] = [];
  #alarmsInFlight = 0;
  #retry: Timer | undefined;
  #disposed = false;

  constructor({ records, deps }: { readonly records: RecordStore; readonly deps: Deps }) {
    this.#records = records;
    this.#deps = deps;
    this.#metrics = deps.metrics.of(pipelineMetrics);
    this.#health = deps.health.component('pipeline');
    this.#backoff = new Backoff({ firstMs: 1000, maxMs: 30_000, random: deps.random });
  }

  start(): void {
    this.#health.report('ok');
  }

  /** Stores telemetry in one call, then alarms in another, waiting alarms first. Failures are handled here. */
  store(entries: readonly Entry[]): void {
    const alarms = [...this.#waiting, ...entries.filter(isAlarm)];
    this.#setWaiting([]);
    this.#alarmsInFlight += alarms.length;
    this.#begin(entries.filter((entry) => !isAlarm(entry)));
    this.#begin(alarms);
  }

  /**
   * Stores one alarm entry for a caller that waits for it. If the outbox accepts none now, the entry is kept for the
   * next attempt: the store may have its alarm but not its record, so it cannot be undone.
   *
   * @throws {OperatingError} With disposition 'reject': the entry is neither stored nor kept.
   */
  async storeNow(entry: Entry): Promise<void> {
    let id: string | undefined;
    try {
      [id] = await this.#records.append([entry.draft]);
    } catch (error) {
      if (!(error instanceof OperatingError) || error.disposition !== 'retry') throw error;
      this.#refused([entry], error);
      return;
    }
    if (id !== undefined) entry.stored(id);
  }

  /** Keeps alarm entries that could not be stored for the next attempt, each watch's in order of their numbers. */
  keep(entries: readonly Entry[]): void {
    const all = inOrderOfNumber([...entries, ...this.#waiting]);
    const lost = all.splice(0, Math.max(0, all.length - WAITING_MAX));
    this.#lost(lost, 'alarm-queue-full');
    for (const { draft } of lost) {
      this.#deps.log.error(
        { watch: draft.watch, alarm: draft.body },
        `Alarm record lost: more than ${WAITING_MAX} wait for the outbox.`,
      );
    }
    this.#setWaiting(all);
    if (all.length > 0 && !this.#disposed)
      this.#retry ??= this.#deps.clock.setTimer(() => this.#tryAgain(), this.#backoff.nextMs(), { background: true });
  }

  /** Tries once more to store the waiting alarms, and waits for the calls in flight. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#retry?.cancel();
    this.#retry = undefined;
    await this.#endsWithin(STOP_MS);
    this.store([]);
    await this.#endsWithin(STOP_MS);
    this.#lost(this.#waiting, 'agent-stopped');
    for (const { draft } of this.#waiting)
      this.#deps.log.error(
        { watch: draft.watch, alarm: draft.body },
        'Alarm record lost: the agent stops and the outbox accepts none.',
      );
  }

  /** Waits for the calls in flight. While the disk fails, they end only when the outbox is closed. */
  async #endsWithin(limitMs: number): Promise<void> {
    const ended = new AbortController();
    const calls = Promise.all(this.#inFlight).finally(() => ended.abort());
    await Promise.race([calls, sleep(this.#deps.clock, limitMs, ended.signal)]);
  }

  #begin(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const task = this.#append(entries).finally(() => this.#inFlight.delete(task));
    this.#inFlight.add(task);
  }

  async #append(entries: readonly Entry[]): Promise<void> {
    const alarms = entries.filter(isAlarm).length;
    let ids: readonly (string | undefined)[];
    try {
      ids = await this.#records.append(entries.map(({ draft }) => draft));
    } catch (error) {
      this.#alarmsInFlight -= alarms;
      this.#refused(entries, error);
      return;
    }
    this.#alarmsInFlight -= alarms;
    for (const [index, entry] of entries.entries()) {
      const id = ids[index];
      if (id !== undefined) entry.stored(id);
    }
    // Stored telemetry does not prove that alarms can be stored.
    if (this.#waiting.length > 0 || this.#alarmsInFlight > 0) return;
    this.#backoff.reset();
    this.#health.report('ok');
  }

  #refused(entries: readonly Entry[], error: unknown): void {
    const alarms = entries.filter(isAlarm);
    this.#lost(
      entries.filter((entry) => !isAlarm(entry)),
      errorCode(error),
    );
    this.#health.report(
      'degraded',
      `The outbox refused ${entries.length} records, ${alarms.length} of them alarms, which are kept: ${errorMessage(error)}`,
      errorCode(error),
    );
    this.keep(alarms);
  }

  #lost(entries: readonly Entry[], reason: string): void {
    if (entries.length === 0) return;
    for (const { draft } of entries) this.#metrics.andon_pipeline_records_lost_total.inc({ kind: draft.kind });
    this.#records.lost(
      entries.map(({ draft }) => draft),
      reason,
    );
  }

  #tryAgain(): void {
    this.#retry = undefined;
    this.store([]);
  }

  #setWaiting(entries: readonly Entry[]): void {
    this.#waiting = entries;
    this.#metrics.andon_alarm_records_waiting.set(entries.length);
  }
}

function isAlarm({ draft }: Entry): boolean {
  return draft.kind === 'alarm';
}

/** Failed calls return in any order. Each watch keeps its positions among the entries, with its own entries in order. */
function inOrderOfNumber(entries: readonly Entry[]): Entry[] {
  const number = ({ draft }: Entry): number => draft.alarm?.number ?? 0;
  const byWatch = Map.groupBy(entries, ({ draft }) => draft.watch);
  const sorted = new Map(
    [...byWatch].map(([watch, own]) => [watch, own.toSorted((a, b) => number(a) - number(b)).values()]),
  );
  return entries.map((entry) => sorted.get(entry.draft.watch)?.next().value ?? entry);
}

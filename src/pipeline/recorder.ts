import type { RecordStore } from '../contracts/record-store.ts';
import type { RecordDraft } from '../domain/record.ts';
import { Backoff } from '../platform/backoff.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { pipelineMetrics } from './pipeline-metrics.ts';

/** Alarm records that wait for an outbox that takes none; past it the oldest is lost, logged and counted. */
const WAITING_MAX = 1000;

/** A draft, and what is to be done once it is stored. */
export type Entry = {
  readonly draft: RecordDraft;
  /** @param id '' where the outbox dropped this very record under `onFull`. Must not throw. */
  readonly stored: (id: string) => void;
};

/**
 * Brings drafts into the outbox and lets nobody know before they are there.
 *
 * Where the outbox refuses, verdicts and samples are lost and counted, since newer ones follow. Alarm records are kept
 * (at most `WAITING_MAX`) and go ahead of the next ones, or by themselves after a while. Reports under `pipeline`.
 */
export class Recorder implements AsyncDisposable {
  readonly #records: RecordStore;
  readonly #deps: Deps;
  readonly #metrics;
  readonly #health: ComponentHealth;
  readonly #backoff: Backoff;
  readonly #inFlight = new Set<Promise<void>>();
  #waiting: readonly Entry[] = [];
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

  /** Stores the entries in one call, in order, after those that wait. Failing is handled here. */
  store(entries: readonly Entry[]): void {
    const all = [...this.#waiting, ...entries];
    if (all.length === 0) return;
    this.#setWaiting([]);
    const task = this.#append(all).finally(() => this.#inFlight.delete(task));
    this.#inFlight.add(task);
  }

  /**
   * Stores one entry for somebody who waits for it; kept nowhere if that fails.
   * @throws {OperatingError} The record store's own errors.
   */
  async storeNow(entry: Entry): Promise<void> {
    const [id] = await this.#records.append([entry.draft]);
    entry.stored(id ?? '');
  }

  /** Keeps alarm entries that could not be stored for the next attempt, those of a watch in order of their numbers. */
  keep(entries: readonly Entry[]): void {
    const all = inOrderOfNumber([...entries, ...this.#waiting]);
    const lost = all.splice(0, Math.max(0, all.length - WAITING_MAX));
    for (const { draft } of lost) {
      this.#metrics.andon_pipeline_records_lost_total.inc({ kind: draft.kind });
      this.#deps.log.error(
        { watch: draft.watch, alarm: draft.body },
        'Alarm record lost: too many wait for the outbox.',
      );
    }
    this.#setWaiting(all);
    if (all.length > 0 && !this.#disposed)
      this.#retry ??= this.#deps.clock.setTimer(() => this.#tryAgain(), this.#backoff.nextMs(), { background: true });
  }

  /** Tries once more to store what waits, then lets everything under way settle. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#retry?.cancel();
    this.#retry = undefined;
    await Promise.all(this.#inFlight);
    this.store([]);
    await Promise.all(this.#inFlight);
    for (const { draft } of this.#waiting)
      this.#deps.log.error(
        { watch: draft.watch, alarm: draft.body },
        'Alarm record lost: the agent stops, the outbox takes none.',
      );
  }

  async #append(entries: readonly Entry[]): Promise<void> {
    let ids: readonly string[];
    try {
      ids = await this.#records.append(entries.map(({ draft }) => draft));
    } catch (error) {
      this.#refused(entries, errorMessage(error));
      return;
    }
    for (const [index, entry] of entries.entries()) entry.stored(ids[index] ?? '');
    if (this.#waiting.length > 0) return;
    this.#backoff.reset();
    this.#health.report('ok');
  }

  #refused(entries: readonly Entry[], reason: string): void {
    const alarms = entries.filter(({ draft }) => draft.kind === 'alarm');
    for (const { draft } of entries)
      if (draft.kind !== 'alarm') this.#metrics.andon_pipeline_records_lost_total.inc({ kind: draft.kind });
    this.#health.report(
      'degraded',
      `The outbox took none of ${entries.length} records, ${alarms.length} of them alarms, which are kept: ${reason}`,
    );
    this.keep(alarms);
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

/** Calls that fail come back in any order; each watch keeps its places among the entries, and its own order in them. */
function inOrderOfNumber(entries: readonly Entry[]): Entry[] {
  const number = ({ draft }: Entry): number => draft.alarm?.number ?? 0;
  const byWatch = Map.groupBy(entries, ({ draft }) => draft.watch);
  const sorted = new Map(
    [...byWatch].map(([watch, own]) => [watch, own.toSorted((a, b) => number(a) - number(b)).values()]),
  );
  return entries.map((entry) => sorted.get(entry.draft.watch)?.next().value ?? entry);
}

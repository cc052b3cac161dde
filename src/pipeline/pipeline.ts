import { formatModelReference } from '../domain/model/model-reference.ts';
import type { LiveEvents, TagReading } from '../contracts/live-events.ts';
import type { SampleHistory } from '../contracts/sample-history.ts';
import type { SampleSink } from '../contracts/sample-sink.ts';
import type { WatchOverview, WatchStatuses } from '../contracts/watch-statuses.ts';
import type { WatchConditions } from '../contracts/watch-summaries.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import { watchAlarmId } from '../domain/alarm/alarm.ts';
import type { Judgement, WindowModels } from '../contracts/window-models.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { qualities } from '../domain/sample/quality.ts';
import { QualityGate } from '../domain/sample/quality-gate.ts';
import { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag, TagNumber } from '../domain/sample/tag.ts';
import { isFallbackOfRemote, type Verdict } from '../domain/alarm/verdict.ts';
import type { WatchCondition } from '../domain/alarm/watch-state.ts';
import { type LiveSample, refillSpanMs } from '../domain/window/refill.ts';
import type { DueWindow } from '../domain/window/window-plan.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import type { AlarmService } from './alarm-service.ts';
import { blamedTags } from './blamed-tags.ts';
import type { DerivedTags } from './derived-tags.ts';
import { DriftMonitor } from './drift-monitor.ts';
import type { LimitsConfig } from './limit-config.ts';
import { LimitMonitor } from './limit-monitor.ts';
import { pipelineMetrics } from './pipeline-metrics.ts';
import type { Entry, Recorder } from './recorder.ts';
import { sampleDraft } from './sample-record.ts';
import { numbersOf, tagRoutes } from './tag-routes.ts';
import { TagTable } from './tag-table.ts';
import { VerdictRecords } from './verdict-record.ts';
import type { VersionComparison } from './version-comparison.ts';
import type { SuppressWhen, WatchConfig } from './watch-config.ts';
import { verdictAlarm } from './verdict-alarm.ts';
import { missingTag, Watch, windowPlan } from './watch.ts';
import { filledWindower } from './warm-start.ts';
import { WatchTelemetry } from './watch-telemetry.ts';

/** Interval and maximum number of tag values sent to live subscribers. Only changed values are sent. */
const TAG_EVENTS_INTERVAL_MS = 500;
const TAGS_IN_EVENT_MAX = 1000;
/** Maximum time between two checks of windows and models. */
const TICK_MS_MAX = 1000;
/** Most samples that wait for the history; a window whose history is not read by then fills from live samples. */
const REFILL_SAMPLES_MAX = 100_000;
/** Interval of checks for a model that is not ready yet. */
const MODEL_CHECK_MS = 100;
const BLIND_AFTER_MS_DEFAULT = 30_000;

export type PipelineOptions = {
  /** Interval of tag events, at most `TAG_EVENTS_INTERVAL_MS`, which is the default. */
  readonly tagEventsMs?: number;
  /** In order of their numbers. A tag of a pattern gets its name later, in this same array. */
  readonly tags: readonly Tag[];
  /** Tags that are calculated from other tags. Undefined without any, as in a benchmark. */
  readonly derived?: DerivedTags;
  /** Every tag that they name is in `tags`. */
  readonly watches: ReadonlyMap<string, WatchConfig>;
  /** Limits of tags, by tag. Every tag that they name is in `tags`. */
  readonly limits?: Readonly<Record<string, LimitsConfig>>;
  readonly inference: WindowModels;
  /** Undefined without rollouts, as in a benchmark. */
  readonly rollouts: VersionComparison | undefined;
  readonly recorder: Recorder;
  readonly history: SampleHistory | undefined;
  readonly events: LiveEvents;
  /** True if an uplink takes sample records. */
  readonly sampleRecords: boolean;
  /** Time without a verdict after which a watch is blind, ms; 30 s if undefined. */
  readonly blindAfterMs?: number;
  readonly alarms: AlarmService;
  readonly deps: Deps;
};

/**
 * The data path of a sample: quality gate → tag table, history → windows → model → verdict → alarm → outbox → subscribers.
 *
 * A sample allocates no object. Every due window results in exactly one verdict record. One more `unknown` record is
 * stored each time a watch begins to fill its window (at start, after a clock jump, with a model of another window
 * length), so that the last verdict does not look current.
 */
export class Pipeline implements SampleSink, WatchStatuses, WatchConditions, AsyncDisposable {
  readonly #options: PipelineOptions;
  readonly #gate: QualityGate;
  readonly #table: TagTable;
  readonly #watches: readonly Watch[];
  /** Compares tags with their limits. */
  readonly limits: LimitMonitor;
  /** By watch: samples since the history was asked to fill its window; undefined if it was not. */
  readonly #refilling: (LiveSample[] | undefined)[] = [];
  readonly #telemetry: readonly WatchTelemetry[];
  readonly #drift: readonly DriftMonitor[];
  readonly #numbers: ReadonlyMap<string, TagNumber>;
  readonly #byId: ReadonlyMap<string, number>;
  readonly #routes;
  readonly #verdicts = new VerdictRecords();
  readonly #metrics;
  readonly #sampleCounters;
  readonly #sampleCounts = new Float64Array(qualities.length);
  /** Buffers, as large as the largest batch so far. */
  #gated = new SampleBatch(64);
  #reported = new Uint8Array(64);
  /** Watches with samples in the current batch, each once. */
  readonly #touched: Int32Array;
  readonly #isTouched: Uint8Array;
  #touchedCount = 0;
  #tick: Timer | undefined;
  #tagEvents: Timer | undefined;
  #nextDeadlineMs = Infinity;
  /** Number of due windows since the start. */
  #windows = 0;
  #running = false;

  constructor(options: PipelineOptions) {
    const { tags, watches, inference, rollouts, deps } = options;
    this.#options = options;
    this.#numbers = new Map(tags.map(({ name, number }) => [name, number]));
    this.#gate = new QualityGate(tags);
    this.#table = new TagTable(tags);
    this.#watches = [...watches].map(([id, config]) => new Watch(id, config, numbersOf(id, config, this.#numbers)));
    this.#telemetry = this.#watches.map(
      (watch) => new WatchTelemetry(watch, options.blindAfterMs ?? BLIND_AFTER_MS_DEFAULT, deps),
    );
    this.#drift = this.#watches.map(({ id, config: { drift } }) => new DriftMonitor(id, drift, deps));
    this.#byId = new Map(this.#watches.map(({ id }, index) => [id, index]));
    this.limits = new LimitMonitor({
      limits: options.limits ?? {},
      tags,
      alarms: options.alarms,
      suppressed: (when) => this.#isSuppressedBy(when),
      nowMs: deps.clock.nowMs(),
    });
    this.#routes = tagRoutes(
      tags.length,
      this.#watches.map(({ tagNumbers }) => tagNumbers),
    );
    this.#touched = new Int32Array(this.#watches.length);
    this.#isTouched = new Uint8Array(this.#watches.length);
    inference.onJudged((judgements) => this.#conclude(rollouts?.pass(judgements) ?? judgements));
    rollouts?.onReleased((judgements) => this.#conclude(judgements));
    this.#metrics = deps.metrics.of(pipelineMetrics);
    this.#sampleCounters = qualities.map((quality) => this.#metrics.andon_samples_total.labels({ quality }));
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    const nowMs = this.#options.deps.clock.nowMs();
    for (const watch of this.#watches) this.#checkModel(watch, nowMs);
    this.#recordUnknown(this.#watches, nowMs, '');
    this.#check();
  }

  accept(batch: SampleBatch): void {
    if (!this.#running) return;
    const nowMs = this.#options.deps.clock.nowMs();
    if (nowMs >= this.#nextDeadlineMs) this.#advance(nowMs);
    this.#deliver(batch, nowMs);
    if (this.#options.derived !== undefined) this.#derive(this.#options.derived, nowMs);
    // After the derived tags: a row of a window has their values of the same scan.
    this.#endBatches(nowMs);
    if (this.#table.changed > 0) this.#tagEvents ??= this.#timer(() => this.#emitTags(), this.#tagEventsMs);
  }

  watches(): readonly WatchOverview[] {
    const { inference, rollouts, alarms, deps } = this.#options;
    const nowMs = deps.clock.nowMs();
    return this.#watches.map((watch, index) => ({
      watch: watch.id,
      model: formatModelReference(watch.config.model),
      tags: watch.tagNumbers.map((number) => this.#table.reading(number)),
      stepMs: watch.config.window.stepMs,
      hopMs: watch.config.window.hopMs ?? watch.config.window.stepMs,
      alarmState: alarms.stateOf(watch.id),
      drift: this.#drift[index]?.indexes ?? new Map(),
      lastVerdict: watch.lastVerdict(inference, nowMs),
      rollout: rollouts?.rolloutOf(watch.id),
    }));
  }

  conditions(): readonly (WatchCondition & { readonly watch: string })[] {
    const nowMs = this.#options.deps.clock.nowMs();
    return this.#watches.flatMap((watch, index) => {
      const last = watch.lastVerdict(this.#options.inference, nowMs);
      const missing = missingTag(watch, (number) => this.#table.reading(number), nowMs);
      const condition = this.#telemetry[index]?.condition(last, watch.windower?.rows ?? 0, missing);
      return condition === undefined ? [] : [{ watch: watch.id, ...condition }];
    });
  }

  tags(): readonly TagReading[] {
    return this.#options.tags.flatMap(({ name, number }) => (name === '' ? [] : [this.#table.reading(number)]));
  }

  /**
   * The wall clock was set. The windows restart empty, because they would mix times from before and after the jump. Call
   * it after the agent's clock has the new time.
   *
   * @param leadMs Size of the jump; negative if the clock was set back.
   */
  clockJumped(leadMs: number): void {
    if (!this.#running) return;
    const nowMs = this.#options.deps.clock.nowMs();
    this.#options.alarms.clockJumped();
    for (const [index, watch] of this.#watches.entries()) {
      watch.windower?.restart(nowMs);
      this.#refilling[index] = undefined;
      this.#telemetry[index]?.restarted();
    }
    const direction = leadMs < 0 ? 'back' : 'forward';
    this.#recordUnknown(this.#watches, nowMs, `the clock was set ${direction} by ${Math.round(Math.abs(leadMs))} ms: `);
    this.#check();
  }

  /** Stops accepting samples. Due windows are judged and stored, so the inference host must still run. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#running = false;
    this.#tick?.cancel();
    this.#tagEvents?.cancel();
    await this.#options.inference.settle();
    await this.#options.rollouts?.settle();
    for (const telemetry of this.#telemetry) telemetry.remove();
  }

  #derive(derived: DerivedTags, nowMs: EpochMs): void {
    derived.take(this.#gated);
    for (let level = 0; level < derived.levels; level += 1) {
      const samples = derived.evaluate(level);
      if (samples.length === 0) continue;
      this.#deliver(samples, nowMs);
      derived.take(this.#gated);
    }
  }

  #deliver(batch: SampleBatch, nowMs: EpochMs): void {
    if (batch.length > this.#gated.tags.length) {
      this.#gated = new SampleBatch(batch.tags.length);
      this.#reported = new Uint8Array(batch.tags.length);
    }
    const leftOut = this.#gate.pass(batch, nowMs, this.#gated, this.#reported);
    if (leftOut > 0) this.#metrics.andon_samples_left_out_total.inc(leftOut);
    if (batch.texts !== undefined) this.#table.takeTexts(batch.texts);
    this.#table.update(this.#gated, this.#reported);
    this.#options.history?.add(this.#gated);
    this.#fillWindows(this.#gated);
    this.#store(this.limits.accept(this.#gated, nowMs));
    this.#recordSamples();
  }

  #fillWindows(gated: SampleBatch): void {
    const { first, watches, columns } = this.#routes;
    this.#sampleCounts.fill(0);
    for (let index = 0; index < gated.length; index += 1) {
      const tag = gated.tags[index] ?? 0;
      const quality = gated.qualities[index] ?? 2;
      this.#sampleCounts[quality] = (this.#sampleCounts[quality] ?? 0) + 1;
      const end = first[tag + 1] ?? 0;
      for (let route = first[tag] ?? 0; route < end; route += 1) {
        const number = watches[route] ?? 0;
        const windower = this.#watches[number]?.windower;
        if (windower === undefined) continue;
        if (this.#isTouched[number] === 0) {
          this.#isTouched[number] = 1;
          this.#touched[this.#touchedCount] = number;
          this.#touchedCount += 1;
        }
        const column = columns[route] ?? 0;
        const timeMs = gated.timesMs[index] ?? 0;
        const value = gated.values[index] ?? 0;
        const reason = gated.reasons[index] ?? 0;
        windower.add(column, timeMs, value, quality === 0, reason);
        this.#refilling[number]?.push([column, timeMs, value, quality === 0, reason]);
      }
    }
    for (const [code, counter] of this.#sampleCounters.entries()) {
      const count = this.#sampleCounts[code] ?? 0;
      if (count > 0) counter.inc(count);
    }
  }

  #endBatches(nowMs: EpochMs): void {
    const touched = this.#touchedCount;
    this.#touchedCount = 0;
    for (let index = 0; index < touched; index += 1) {
      const number = this.#touched[index] ?? 0;
      this.#isTouched[number] = 0;
      this.#endBatch(number, nowMs);
    }
  }

  #endBatch(number: number, nowMs: EpochMs): void {
    const watch = this.#watches[number];
    if (watch?.windower === undefined) return;
    // The window length must be that of the version that will judge it.
    this.#checkModel(watch, nowMs);
    watch.windower.endBatch();
    this.#refilling[number]?.push('end of batch');
    if ((this.#refilling[number]?.length ?? 0) > REFILL_SAMPLES_MAX) this.#refilling[number] = undefined;
    const late = watch.windower.lateSamples - watch.lateSamplesCounted;
    if (late === 0) return;
    watch.lateSamplesCounted += late;
    this.#telemetry[number]?.late(late);
  }

  #recordSamples(): void {
    if (!this.#options.sampleRecords) return;
    const draft = sampleDraft(this.#gated, this.#reported, this.#options.tags);
    if (draft !== undefined) this.#options.recorder.store([{ draft, stored: () => undefined }]);
  }

  /** Checks what no sample triggers: rows that wait for late samples, and models that became ready. */
  #check(): void {
    this.#tick?.cancel();
    const nowMs = this.#options.deps.clock.nowMs();
    this.#advance(nowMs);
    this.#store(this.limits.tick(nowMs));
    const waitMs = Math.min(Math.max(this.#nextDeadlineMs - nowMs, 1), TICK_MS_MAX);
    const waits = this.#watches.some(({ windower }) => windower === undefined);
    this.#tick = this.#timer(() => this.#check(), waits ? Math.min(waitMs, MODEL_CHECK_MS) : waitMs);
  }

  #advance(nowMs: EpochMs): void {
    let nextMs = Infinity;
    for (const watch of this.#watches) {
      this.#checkModel(watch, nowMs);
      watch.windower?.advance(nowMs);
      nextMs = Math.min(nextMs, watch.windower?.deadlineMs() ?? Infinity);
    }
    this.#nextDeadlineMs = nextMs;
  }

  /** Sets the window length of a model that became ready, or that has another length than the one before. */
  #checkModel(watch: Watch, nowMs: EpochMs): void {
    const steps = this.#options.inference.ready(watch.config.model)?.manifest.window.steps;
    if (steps === undefined || steps === watch.steps) return;
    const replaced = watch.windower !== undefined;
    watch.plan(steps, nowMs, (window) => this.#enqueue(watch, window));
    if (!watch.isFilling) return;
    void this.#refill(watch, nowMs);
    this.#telemetry[this.#byId.get(watch.id) ?? -1]?.restarted();
    if (replaced) this.#recordUnknown([watch], nowMs, `the model now uses ${steps} rows: `);
  }

  /** Fills the window of a watch from the history. Samples that arrive meanwhile follow. */
  async #refill(watch: Watch, nowMs: EpochMs): Promise<void> {
    const { history, deps } = this.#options;
    const number = this.#byId.get(watch.id) ?? -1;
    if (history === undefined) return;
    const since: LiveSample[] = [];
    this.#refilling[number] = since;
    const startMs = nowMs - refillSpanMs(windowPlan(watch.config, watch.steps));
    try {
      const series = await history.read(watch.config.tags, startMs, nowMs);
      // Another refill, or a jump of the clock, makes this one worthless.
      if (this.#refilling[number] !== since || !watch.isFilling) return;
      const times = { startMs, nowMs: deps.clock.nowMs() };
      const filled = filledWindower(watch, series, since, times, (window) => this.#enqueue(watch, window));
      if (filled === undefined) return;
      watch.windower = filled;
      watch.lateSamplesCounted = filled.lateSamples;
    } catch (error) {
      // The window fills from live samples.
      deps.log.info({ watch: watch.id, code: errorCode(error) }, `No window from the history: ${errorMessage(error)}`);
    } finally {
      if (this.#refilling[number] === since) this.#refilling[number] = undefined;
    }
  }

  #enqueue(watch: Watch, window: DueWindow): void {
    this.#telemetry[this.#byId.get(watch.id) ?? -1]?.due();
    const job = {
      watch: watch.id,
      number: (this.#windows += 1),
      window,
      steps: watch.steps,
      columns: watch.tagNumbers.length,
      dueMs: this.#options.deps.clock.monotonicMs(),
      explained: true,
    };
    this.#options.inference.judge(watch.config.model, job);
    this.#options.rollouts?.enqueue(job);
  }

  #recordUnknown(watches: readonly Watch[], nowMs: EpochMs, because: string): void {
    const { inference, recorder } = this.#options;
    recorder.store(
      watches.flatMap((watch) => {
        const verdict = watch.unknown(`${because}${watch.fillingReason(inference)}`, nowMs);
        return this.#entries(watch, verdict, undefined, undefined, true);
      }),
    );
  }

  /** Stores the verdicts and alarms of windows that were judged together, in one call. */
  #conclude(judgements: readonly Judgement[]): void {
    const entries: Entry[] = [];
    for (const judgement of judgements) {
      const number = this.#byId.get(judgement.job.watch) ?? -1;
      const watch = this.#watches[number];
      if (watch === undefined) continue;
      const verdict = watch.decide(judgement, this.#options.alarms.isActive(watchAlarmId(watch.id)));
      const waitedMs = this.#options.deps.clock.monotonicMs() - judgement.job.dueMs;
      this.#telemetry[number]?.decided(judgement.outcome, verdict, waitedMs);
      const { lastRow, timestampMs } = judgement.job.window;
      const manifest = judgement.outcome === 'judged' ? judgement.manifest : undefined;
      // The few windows of a fallback would restart the drift period of the remote model.
      const isFallback = verdict.judgedBy !== undefined && isFallbackOfRemote(verdict.judgedBy);
      if (manifest !== undefined && verdict.score !== undefined && !isFallback)
        this.#drift[number]?.observe(manifest, watch.config.tags, lastRow, verdict.score, timestampMs);
      // A slow model is not a state of the plant: it must not restart an alarm's delay.
      const concernsAlarm = judgement.outcome !== 'superseded';
      entries.push(...this.#entries(watch, verdict, manifest, lastRow, concernsAlarm));
    }
    this.#options.recorder.store(entries);
  }

  /** @param judgedBy Manifest of the version that judged; undefined if none did. */
  #entries(
    watch: Watch,
    verdict: Verdict,
    judgedBy: ModelManifest | undefined,
    lastRow: Float32Array | undefined,
    concernsAlarm: boolean,
  ): readonly Entry[] {
    const { alarms, events, history, inference } = this.#options;
    const { alarm } = watch.config;
    history?.addScore(verdict);
    const readings = watch.tagNumbers.map((tag) => this.#table.reading(tag));
    const draft = this.#verdicts.draft(verdict, lastRow, readings);
    const stored = (id: string): void => events.emit({ type: 'verdict', verdict, id });
    const entry: Entry = { draft, stored };
    if (!concernsAlarm || alarm === undefined) return [entry];
    const manifest = judgedBy ?? inference.ready(watch.config.model)?.manifest;
    const abnormal = alarm.abnormal ?? manifest?.abnormal ?? 'above';
    const tags = blamedTags(verdict, readings, manifest);
    return [entry, ...alarms.apply(verdictAlarm({ verdict, abnormal, tags, suppressed: this.#isSuppressed(watch) }))];
  }

  /** Returns undefined if the deciding tag is not good: then the suppression does not change. */
  #isSuppressed({ config: { alarm } }: Watch): boolean | undefined {
    return alarm?.suppressWhen === undefined ? false : this.#isSuppressedBy(alarm.suppressWhen);
  }

  #isSuppressedBy({ tag, above = Infinity, below = -Infinity }: SuppressWhen): boolean | undefined {
    const { value, quality } = this.#table.reading(this.#numbers.get(tag) ?? -1);
    return value === undefined || quality !== 'good' ? undefined : value > above || value < below;
  }

  #store(entries: readonly Entry[]): void {
    if (entries.length > 0) this.#options.recorder.store(entries);
  }

  #emitTags(): void {
    this.#tagEvents = undefined;
    this.#options.events.emit({ type: 'tags', tags: this.#table.takeChanged(TAGS_IN_EVENT_MAX) });
    if (this.#table.changed > 0) this.#tagEvents = this.#timer(() => this.#emitTags(), this.#tagEventsMs);
  }

  get #tagEventsMs(): number {
    return Math.min(this.#options.tagEventsMs ?? TAG_EVENTS_INTERVAL_MS, TAG_EVENTS_INTERVAL_MS);
  }

  #timer(callback: () => void, delayMs: number): Timer {
    return this.#options.deps.clock.setTimer(callback, delayMs, { background: true });
  }
}

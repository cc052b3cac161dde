import type { LiveEvents, TagReading } from '../contracts/live-events.ts';
import type { SampleHistory } from '../contracts/sample-history.ts';
import type { SampleSink } from '../contracts/sample-sink.ts';
import type { WatchOverview, WatchStatuses } from '../contracts/watch-statuses.ts';
import type { WatchConditions } from '../contracts/watch-summaries.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import type { Judgement, WindowModels } from '../contracts/window-models.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { qualities } from '../domain/sample/quality.ts';
import { QualityGate } from '../domain/sample/quality-gate.ts';
import { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag, TagNumber } from '../domain/sample/tag.ts';
import { suppresses } from '../domain/alarm/suppression.ts';
import { watchAlarmId } from '../domain/alarm/alarm.ts';
import { isFallbackOfRemote, type Verdict, unknownVerdict } from '../domain/alarm/verdict.ts';
import type { WatchCondition } from '../domain/alarm/watch-state.ts';
import type { DueWindow } from '../domain/window/window-plan.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import type { AlarmService } from './alarm-service.ts';
import { blamedTags } from './blamed-tags.ts';
import type { DerivedDefinitions, DerivedTags } from './derived-tags.ts';
import type { LimitsConfig } from './limit-config.ts';
import { LimitMonitor } from './limit-monitor.ts';
import { pipelineMetrics } from './pipeline-metrics.ts';
import type { Entry, Recorder } from './recorder.ts';
import { sampleDraft } from './sample-record.ts';
import { numbersOf, type TagRoutes, tagRoutes } from './tag-routes.ts';
import { TagTable } from './tag-table.ts';
import { VerdictRecords } from './verdict-record.ts';
import type { VersionComparison } from './version-comparison.ts';
import type { SuppressWhen, WatchConfig } from './watch-config.ts';
import { verdictAlarm } from './verdict-alarm.ts';
import {
  endWatch,
  fillFromHistory,
  removeReports,
  type RunningWatch,
  runningWatch,
  type Watch,
  watchCondition,
  watchOverview,
} from './watch.ts';

/** Interval and maximum number of tag values sent to live subscribers. Only changed values are sent. */
const TAG_EVENTS_INTERVAL_MS = 500;
const TAGS_IN_EVENT_MAX = 1000;
/** Maximum time between two checks of windows and models. */
const TICK_MS_MAX = 1000;
/** Most samples that wait for the history; a window whose history is not read by then fills from live samples. */
const REFILL_SAMPLES_MAX = 100_000;
/** Interval of checks for a model that is not ready yet. */
const MODEL_CHECK_MS = 100;

/** The part of the configuration that a reload may change. Every tag that it names is in the table. */
export type PipelineConfig = {
  /** Interval of tag events, at most `TAG_EVENTS_INTERVAL_MS`, which is the default. */
  readonly tagEventsMs?: number;
  readonly watches: ReadonlyMap<string, WatchConfig>;
  /** Limits of tags, by tag. */
  readonly limits?: Readonly<Record<string, LimitsConfig>>;
  /** True if an uplink takes sample records. */
  readonly sampleRecords: boolean;
};

/** What continues in another configuration. */
export type PipelineChange = {
  /** Tags whose limits are as before. */
  readonly untouchedLimits: ReadonlySet<string>;
  /** Tags whose values mean something else. */
  readonly changedTags: ReadonlySet<string>;
  /** Numbers of tags whose earlier samples do not count. */
  readonly renewed: ReadonlySet<TagNumber>;
};

export type PipelineOptions = PipelineConfig & {
  /** In order of their numbers. A tag of a pattern gets its name later, in this same array, and so does a new tag. */
  readonly tags: readonly Tag[];
  /** Tags that are calculated from other tags. Undefined without any, as in a benchmark. */
  readonly derived?: DerivedTags;
  readonly inference: WindowModels;
  /** Undefined without rollouts, as in a benchmark. */
  readonly rollouts: VersionComparison | undefined;
  readonly recorder: Recorder;
  readonly history: SampleHistory | undefined;
  readonly events: LiveEvents;
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
  #config: PipelineConfig;
  #watches: readonly RunningWatch[] = [];
  /** Compares tags with their limits. */
  readonly limits: LimitMonitor;
  #numbers: ReadonlyMap<string, TagNumber> = new Map();
  #byId: ReadonlyMap<string, RunningWatch> = new Map();
  #routes: TagRoutes = tagRoutes(0, []);
  readonly #verdicts = new VerdictRecords();
  readonly #metrics;
  readonly #sampleCounters;
  readonly #sampleCounts = new Float64Array(qualities.length);
  /** Buffers, as large as the largest batch so far. */
  #gated = new SampleBatch(64);
  #reported = new Uint8Array(64);
  /** Watches with samples in the current batch, each once. */
  #touched = new Int32Array(0);
  #isTouched = new Uint8Array(0);
  #touchedCount = 0;
  #tick: Timer | undefined;
  #tagEvents: Timer | undefined;
  #nextDeadlineMs = Infinity;
  /** Number of due windows since the start. */
  #windows = 0;
  #running = false;

  constructor(options: PipelineOptions) {
    const { tags, inference, rollouts, deps } = options;
    this.#options = options;
    this.#config = options;
    this.#gate = new QualityGate(tags);
    this.#table = new TagTable(tags);
    this.#bind(options);
    this.limits = new LimitMonitor({
      limits: options.limits ?? {},
      tags,
      alarms: options.alarms,
      suppressed: (when) => this.#isSuppressed(when),
      nowMs: deps.clock.nowMs(),
    });
    inference.onJudged((judgements) => this.#conclude(rollouts?.pass(judgements) ?? judgements));
    rollouts?.onReleased((judgements) => this.#conclude(judgements));
    this.#metrics = deps.metrics.of(pipelineMetrics);
    this.#sampleCounters = qualities.map((quality) => this.#metrics.andon_samples_total.labels({ quality }));
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#begin(this.#watches, this.#options.deps.clock.nowMs());
    this.#check();
  }

  /** Ends watches before a change. Their due windows are judged and stored; resolves after the last one. */
  async endWatches(ids: Iterable<string>): Promise<void> {
    await Promise.all([...ids].flatMap((id) => this.#byId.get(id) ?? []).map(endWatch));
  }

  /** Applies another configuration. Watches continue unless `endWatches` ended them. */
  change(config: PipelineConfig, derived: DerivedDefinitions, change: PipelineChange): void {
    const { tags, deps } = this.#options;
    const nowMs = deps.clock.nowMs();
    this.#gate.change(tags, change.renewed);
    this.#table.change(change.renewed);
    this.#options.derived?.change(derived, tags, { tags: change.changedTags, renewed: change.renewed });
    this.limits.change(config.limits ?? {}, change.untouchedLimits, nowMs);
    for (const running of this.#watches) if (running.ended !== undefined) removeReports(running);
    this.#begin(this.#bind(config), nowMs);
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
    return this.#watches.map((running) => watchOverview(running, this.#table, this.#options));
  }

  conditions(blindAfterMs: number): readonly (WatchCondition & { readonly watch: string })[] {
    const { inference, deps } = this.#options;
    const condition = { table: this.#table, inference, nowMs: deps.clock.nowMs(), blindAfterMs };
    return this.#watches.map((running) => watchCondition(running, condition));
  }

  /** Returns the last value of a tag; bad if there is no such tag. */
  tag(name: string): TagReading {
    return this.#table.reading(this.#numbers.get(name) ?? -1);
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
    for (const running of this.#watches) {
      running.watch.windower?.restart(nowMs);
      running.refilling = undefined;
      running.telemetry.restarted();
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
    for (const running of this.#watches) removeReports(running);
  }

  /** Creates the watches that do not run yet, and the routes to all of them. @returns The new watches. */
  #bind(config: PipelineConfig): readonly RunningWatch[] {
    const { tags, deps } = this.#options;
    this.#config = config;
    this.#numbers = new Map(tags.map(({ name, number }) => [name, number]));
    const before = this.#byId;
    this.#watches = [...config.watches].map(([id, watch]) => {
      const running = before.get(id);
      if (running !== undefined && running.ended === undefined) return running;
      return runningWatch(id, watch, numbersOf(id, watch, this.#numbers), deps);
    });
    this.#byId = new Map(this.#watches.map((running) => [running.watch.id, running]));
    this.#routes = tagRoutes(
      tags.length,
      this.#watches.map(({ watch }) => watch.tagNumbers),
    );
    this.#touched = new Int32Array(this.#watches.length);
    this.#isTouched = new Uint8Array(this.#watches.length);
    return this.#watches.filter((running) => before.get(running.watch.id) !== running);
  }

  #begin(watches: readonly RunningWatch[], nowMs: EpochMs): void {
    for (const running of watches) this.#checkModel(running, nowMs);
    this.#recordUnknown(watches, nowMs, '');
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
        const running = this.#watches[number];
        const windower = running?.watch.windower;
        if (running === undefined || windower === undefined) continue;
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
        running.refilling?.push([column, timeMs, value, quality === 0, reason]);
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
    const running = this.#watches[number];
    if (running?.watch.windower === undefined) return;
    const { watch, telemetry } = running;
    // The window length must be that of the version that will judge it.
    this.#checkModel(running, nowMs);
    watch.windower?.endBatch();
    running.refilling?.push('end of batch');
    if ((running.refilling?.length ?? 0) > REFILL_SAMPLES_MAX) running.refilling = undefined;
    const late = (watch.windower?.lateSamples ?? 0) - watch.lateSamplesCounted;
    if (late === 0) return;
    watch.lateSamplesCounted += late;
    telemetry.late(late);
  }

  #recordSamples(): void {
    if (!this.#config.sampleRecords) return;
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
    const waits = this.#watches.some(({ watch }) => watch.windower === undefined);
    this.#tick = this.#timer(() => this.#check(), waits ? Math.min(waitMs, MODEL_CHECK_MS) : waitMs);
  }

  #advance(nowMs: EpochMs): void {
    let nextMs = Infinity;
    for (const running of this.#watches) {
      const { watch } = running;
      this.#checkModel(running, nowMs);
      watch.windower?.advance(nowMs);
      nextMs = Math.min(nextMs, watch.windower?.deadlineMs() ?? Infinity);
    }
    this.#nextDeadlineMs = nextMs;
  }

  /** Sets the window length of a model that became ready, or that has another length than the one before. */
  #checkModel(running: RunningWatch, nowMs: EpochMs): void {
    const { inference, history, deps } = this.#options;
    const { watch, telemetry } = running;
    const steps = inference.ready(watch.config.model)?.manifest.window.steps;
    if (steps === undefined || steps === watch.steps || running.ended !== undefined) return;
    const replaced = watch.windower !== undefined;
    const onDue = (window: DueWindow): void => this.#enqueue(running, window);
    watch.plan(steps, nowMs, onDue);
    if (!watch.isFilling) return;
    if (history !== undefined) void fillFromHistory(running, nowMs, history, onDue, deps);
    telemetry.restarted();
    if (replaced) this.#recordUnknown([running], nowMs, `the model now uses ${steps} rows: `);
  }

  #enqueue(running: RunningWatch, window: DueWindow): void {
    const { watch, telemetry } = running;
    telemetry.due();
    running.pending += 1;
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

  #recordUnknown(watches: readonly RunningWatch[], nowMs: EpochMs, because: string): void {
    const { inference, recorder } = this.#options;
    recorder.store(
      watches.flatMap(({ watch }) => {
        const reason = `${because}${watch.fillingReason(inference)}`;
        return this.#entries(watch, unknownVerdict(watch.id, reason, nowMs), undefined, undefined, true);
      }),
    );
  }

  /** Stores the verdicts and alarms of windows that were judged together, in one call. */
  #conclude(judgements: readonly Judgement[]): void {
    const entries: Entry[] = [];
    for (const judgement of judgements) {
      const running = this.#byId.get(judgement.job.watch);
      if (running === undefined) continue;
      const { watch, telemetry, drift } = running;
      running.pending -= 1;
      const verdict = watch.decide(judgement, this.#options.alarms.factsOf(watchAlarmId(watch.id)));
      const waitedMs = this.#options.deps.clock.monotonicMs() - judgement.job.dueMs;
      telemetry.decided(judgement.outcome, verdict, waitedMs);
      const { lastRow, timestampMs } = judgement.job.window;
      const manifest = judgement.outcome === 'judged' ? judgement.manifest : undefined;
      // The few windows of a fallback would restart the drift period of the remote model.
      const isFallback = verdict.judgedBy !== undefined && isFallbackOfRemote(verdict.judgedBy);
      if (manifest !== undefined && verdict.score !== undefined && !isFallback)
        drift.observe(manifest, watch.config.tags, lastRow, verdict, timestampMs);
      // A slow model is not a state of the plant: it must not restart an alarm's delay.
      const concernsAlarm = judgement.outcome !== 'superseded';
      entries.push(...this.#entries(watch, verdict, manifest, lastRow, concernsAlarm));
      if (running.pending === 0) running.ended?.resolve();
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
    const draft = this.#verdicts.draft(verdict, lastRow, watch.config.tags, (position) =>
      this.#table.quality(watch.tagNumbers[position] ?? -1),
    );
    const entry: Entry = { draft, stored: (id) => events.emit({ type: 'verdict', verdict, id }) };
    if (!concernsAlarm || alarm === undefined) return [entry];
    const manifest = judgedBy ?? inference.ready(watch.config.model)?.manifest;
    const abnormal = alarm.abnormal ?? manifest?.abnormal ?? 'above';
    const tags = () => blamedTags(verdict, this.#table.readings(watch.tagNumbers), manifest);
    const own = { scoreExtreme: watch.scoreExtreme, suppressed: this.#isSuppressed(alarm.suppressWhen) };
    return [entry, ...alarms.apply(verdictAlarm({ verdict, abnormal, tags, ...own }))];
  }

  /** Returns undefined if the deciding tag is not good: then the suppression does not change. */
  #isSuppressed(when: SuppressWhen | undefined): boolean | undefined {
    if (when === undefined) return false;
    const { value, quality } = this.#table.reading(this.#numbers.get(when.tag) ?? -1);
    return value === undefined || quality !== 'good' ? undefined : suppresses(when, value);
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
    return Math.min(this.#config.tagEventsMs ?? TAG_EVENTS_INTERVAL_MS, TAG_EVENTS_INTERVAL_MS);
  }

  #timer(callback: () => void, delayMs: number): Timer {
    return this.#options.deps.clock.setTimer(callback, delayMs, { background: true });
  }
}

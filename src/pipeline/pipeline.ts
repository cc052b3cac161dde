import { formatModelReference } from '../domain/model/model-reference.ts';
import type { InferenceHost } from '../contracts/inference.ts';
import type { LiveEvents } from '../contracts/live-events.ts';
import type { SampleHistory } from '../contracts/sample-history.ts';
import type { SampleSink } from '../contracts/sample-sink.ts';
import type { WatchStatuses, WatchOverview } from '../contracts/watch-statuses.ts';
import type { TagReading } from '../contracts/live-events.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { qualities } from '../domain/sample/quality.ts';
import { QualityGate } from '../domain/sample/quality-gate.ts';
import { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag, TagNumber } from '../domain/sample/tag.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';
import { isFallbackOfRemote } from '../domain/alarm/verdict.ts';
import type { DueWindow } from '../domain/window/window-plan.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { invariant } from '../platform/errors.ts';
import type { AlarmService } from './alarm-service.ts';
import { blamedTags } from './blamed-tags.ts';
import { DriftMonitor } from './drift-monitor.ts';
import type { Judgement } from './judge.ts';
import { Judge } from './judge.ts';
import { pipelineMetrics } from './pipeline-metrics.ts';
import type { Entry, Recorder } from './recorder.ts';
import { sampleDraft } from './sample-record.ts';
import { tagRoutes } from './tag-routes.ts';
import { TagTable } from './tag-table.ts';
import { verdictDraft } from './verdict-record.ts';
import type { VersionComparison } from './version-comparison.ts';
import type { WatchConfig } from './watch-config.ts';
import { Watch } from './watch.ts';
import { WatchTelemetry } from './watch-telemetry.ts';

/** Tag values go to live subscribers this often, changed ones only, and at most so many at a time. */
const TAG_EVENTS_INTERVAL_MS = 500;
const TAGS_IN_EVENT_MAX = 1000;
/** Longest time between two looks at windows and models. */
const TICK_MS_MAX = 1000;
/** While a model is not there yet, it is looked for this often. */
const MODEL_LOOK_MS = 100;

export type PipelineOptions = {
  /** In order of their numbers; a place that a pattern keeps gets its name in this very array. */
  readonly tags: readonly Tag[];
  /** Every tag they name is in `tags`. */
  readonly watches: ReadonlyMap<string, WatchConfig>;
  readonly inference: InferenceHost;
  /** Undefined where no versions are ever compared, as in a bench. */
  readonly rollouts: VersionComparison | undefined;
  readonly recorder: Recorder;
  readonly history: SampleHistory | undefined;
  readonly events: LiveEvents;
  /** Whether samples become records for the uplinks, too. */
  readonly sampleRecords: boolean;
  readonly alarms: AlarmService;
  readonly deps: Deps;
};

/**
 * The way of a sample: quality gate → tag table, history → windows → model → verdict → alarm → outbox → subscribers.
 *
 * A sample costs no object. Every due window comes to exactly one verdict record. Besides those there is one
 * `unknown` record each time a watch begins to fill its window (at start, after a jump of the clock, with a model of
 * another length), so that nobody takes the last verdict for the present one.
 */
export class Pipeline implements SampleSink, WatchStatuses, AsyncDisposable {
  readonly #options: PipelineOptions;
  readonly #gate: QualityGate;
  readonly #table: TagTable;
  readonly #watches: readonly Watch[];
  readonly #telemetry: readonly WatchTelemetry[];
  readonly #drift: readonly DriftMonitor[];
  readonly #numbers: ReadonlyMap<string, TagNumber>;
  readonly #byId: ReadonlyMap<string, number>;
  readonly #routes;
  readonly #judge: Judge;
  readonly #metrics;
  readonly #sampleCounters;
  readonly #sampleCounts = new Float64Array(qualities.length);
  /** Scratch, grown to the largest batch that a source has. */
  #gated = new SampleBatch(64);
  #reported = new Uint8Array(64);
  /** Watches that the present batch has samples for; each once. */
  readonly #touched: Int32Array;
  readonly #isTouched: Uint8Array;
  #tick: Timer | undefined;
  #tagEvents: Timer | undefined;
  #nextDeadlineMs = Infinity;
  /** That fell due since the start. */
  #windows = 0;
  #running = false;

  constructor(options: PipelineOptions) {
    const { tags, watches, inference, rollouts, deps } = options;
    this.#options = options;
    this.#numbers = new Map(tags.map(({ name, number }) => [name, number]));
    this.#gate = new QualityGate(tags);
    this.#table = new TagTable(tags);
    this.#watches = [...watches].map(([id, config]) => new Watch(id, config, numbersOf(id, config, this.#numbers)));
    this.#telemetry = this.#watches.map(({ id }) => new WatchTelemetry(id, deps));
    this.#drift = this.#watches.map(({ id, config: { drift } }) => new DriftMonitor(id, drift, deps));
    this.#byId = new Map(this.#watches.map(({ id }, index) => [id, index]));
    this.#routes = tagRoutes(
      tags.length,
      this.#watches.map(({ tagNumbers }) => tagNumbers),
    );
    this.#touched = new Int32Array(this.#watches.length);
    this.#isTouched = new Uint8Array(this.#watches.length);
    this.#judge = new Judge({
      inference,
      deps,
      explains: () => true,
      onJudged: (judgements) => this.#conclude(rollouts?.pass(judgements) ?? judgements),
    });
    rollouts?.onReleased((judgements) => this.#conclude(judgements));
    this.#metrics = deps.metrics.of(pipelineMetrics);
    this.#sampleCounters = qualities.map((quality) => this.#metrics.andon_samples_total.labels({ quality }));
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    const nowMs = this.#options.deps.clock.nowMs();
    for (const watch of this.#watches) this.#lookForModel(watch, nowMs);
    this.#recordFilling(nowMs, '');
    this.#look();
  }

  accept(batch: SampleBatch): void {
    if (!this.#running) return;
    const nowMs = this.#options.deps.clock.nowMs();
    if (nowMs >= this.#nextDeadlineMs) this.#advance(nowMs);
    if (batch.length > this.#gated.tags.length) {
      this.#gated = new SampleBatch(batch.tags.length);
      this.#reported = new Uint8Array(batch.tags.length);
    }
    const leftOut = this.#gate.pass(batch, nowMs, this.#gated, this.#reported);
    if (leftOut > 0) this.#metrics.andon_samples_left_out_total.inc(leftOut);
    if (batch.texts !== undefined) this.#table.takeTexts(batch.texts);
    this.#table.update(this.#gated, this.#reported);
    this.#options.history?.add(this.#gated);
    this.#fillWindows(this.#gated, nowMs);
    this.#recordSamples();
    if (this.#table.changed > 0) this.#tagEvents ??= this.#timer(() => this.#emitTags(), TAG_EVENTS_INTERVAL_MS);
  }

  watches(): readonly WatchOverview[] {
    const { inference, rollouts, alarms, deps } = this.#options;
    const nowMs = deps.clock.nowMs();
    return this.#watches.map((watch, index) => ({
      watch: watch.id,
      model: formatModelReference(watch.model),
      tags: watch.tagNumbers.map((number) => this.#table.reading(number)),
      stepMs: watch.config.window.stepMs,
      hopMs: watch.config.window.hopMs ?? watch.config.window.stepMs,
      alarmState: alarms.stateOf(watch.id),
      drift: this.#drift[index]?.indexes ?? new Map(),
      lastVerdict: watch.lastVerdict(inference, nowMs),
      rollout: rollouts?.rolloutOf(watch.id),
    }));
  }

  tags(): readonly TagReading[] {
    return this.#options.tags.flatMap(({ name, number }) => (name === '' ? [] : [this.#table.reading(number)]));
  }

  /**
   * The wall clock was set: windows would mix times of before and after, so they fill anew. Call it after the agent's
   * clock has taken the new time.
   *
   * @param leadMs By how much it was set forward; negative for back.
   */
  clockJumped(leadMs: number): void {
    if (!this.#running) return;
    const nowMs = this.#options.deps.clock.nowMs();
    this.#options.alarms.clockJumped();
    for (const [index, watch] of this.#watches.entries()) {
      watch.windower?.restart(nowMs);
      this.#telemetry[index]?.restarted();
    }
    const direction = leadMs < 0 ? 'back' : 'forward';
    this.#recordFilling(nowMs, `the clock was set ${direction} by ${Math.round(Math.abs(leadMs))} ms: `);
    this.#look();
  }

  /** Takes no more samples; what fell due is judged and stored. The inference host must still run. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#running = false;
    this.#tick?.cancel();
    this.#tagEvents?.cancel();
    await this.#judge.settle();
    await this.#options.rollouts?.settle();
    for (const telemetry of this.#telemetry) telemetry.remove();
  }

  #fillWindows(gated: SampleBatch, nowMs: EpochMs): void {
    const { first, watches, columns } = this.#routes;
    let touchedCount = 0;
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
          this.#touched[touchedCount] = number;
          touchedCount += 1;
        }
        windower.add(
          columns[route] ?? 0,
          gated.timesMs[index] ?? 0,
          gated.values[index] ?? 0,
          quality === 0,
          gated.reasons[index] ?? 0,
        );
      }
    }
    for (let index = 0; index < touchedCount; index += 1) {
      const number = this.#touched[index] ?? 0;
      this.#isTouched[number] = 0;
      this.#endBatch(number, nowMs);
    }
    for (const [code, counter] of this.#sampleCounters.entries()) {
      const count = this.#sampleCounts[code] ?? 0;
      if (count > 0) counter.inc(count);
    }
  }

  #endBatch(number: number, nowMs: EpochMs): void {
    const watch = this.#watches[number];
    if (watch?.windower === undefined) return;
    // A window is cut for the version that will judge it, not for the one before.
    this.#lookForModel(watch, nowMs);
    watch.windower.endBatch();
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

  /** Looks after what no sample moves on: rows that wait for late samples, models that became ready. */
  #look(): void {
    this.#tick?.cancel();
    const nowMs = this.#options.deps.clock.nowMs();
    this.#advance(nowMs);
    const waitMs = Math.min(Math.max(this.#nextDeadlineMs - nowMs, 1), TICK_MS_MAX);
    const waits = this.#watches.some(({ windower }) => windower === undefined);
    this.#tick = this.#timer(() => this.#look(), waits ? Math.min(waitMs, MODEL_LOOK_MS) : waitMs);
  }

  #advance(nowMs: EpochMs): void {
    let nextMs = Infinity;
    for (const watch of this.#watches) {
      this.#lookForModel(watch, nowMs);
      watch.windower?.advance(nowMs);
      nextMs = Math.min(nextMs, watch.windower?.deadlineMs() ?? Infinity);
    }
    this.#nextDeadlineMs = nextMs;
  }

  /** The model says how long a window is: one that became ready, or was replaced by one of another length. */
  #lookForModel(watch: Watch, nowMs: EpochMs): void {
    const steps = this.#options.inference.ready(watch.model)?.manifest.window.steps;
    if (steps === undefined || steps === watch.steps) return;
    const replaced = watch.windower !== undefined;
    watch.plan(steps, nowMs, (window) => this.#enqueue(watch, window));
    if (!watch.isFilling) return;
    this.#telemetry[this.#byId.get(watch.id) ?? -1]?.restarted();
    if (replaced) this.#recordUnknown([watch], nowMs, `the model sees ${steps} rows now: `);
  }

  #enqueue(watch: Watch, window: DueWindow): void {
    this.#telemetry[this.#byId.get(watch.id) ?? -1]?.due();
    const ticket = {
      watch: watch.id,
      number: (this.#windows += 1),
      window,
      steps: watch.steps,
      columns: watch.tagNumbers.length,
      dueMs: this.#options.deps.clock.monotonicMs(),
    };
    this.#judge.enqueue(watch.model, ticket);
    this.#options.rollouts?.enqueue(ticket);
  }

  #recordFilling(nowMs: EpochMs, because: string): void {
    this.#recordUnknown(this.#watches, nowMs, because);
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

  /** Verdicts, alarms and records of windows that were judged together, handed over at once. */
  #conclude(judgements: readonly Judgement[]): void {
    const entries: Entry[] = [];
    for (const judgement of judgements) {
      const number = this.#byId.get(judgement.ticket.watch) ?? -1;
      const watch = this.#watches[number];
      if (watch === undefined) continue;
      const verdict = watch.decide(judgement, this.#options.alarms.isActive(watch.id));
      const waitedMs = this.#options.deps.clock.monotonicMs() - judgement.ticket.dueMs;
      this.#telemetry[number]?.decided(judgement.outcome, verdict, waitedMs);
      const { lastRow, timestampMs } = judgement.ticket.window;
      const manifest = judgement.outcome === 'judged' ? judgement.manifest : undefined;
      // A fallback's few windows would begin the drift period of the remote model anew.
      const isFallback = verdict.judgedBy !== undefined && isFallbackOfRemote(verdict.judgedBy);
      if (manifest !== undefined && verdict.score !== undefined && !isFallback)
        this.#drift[number]?.observe(manifest, watch.config.tags, lastRow, verdict.score, timestampMs);
      // That the model was too slow says nothing about the plant: it must not hold up an alarm's delay.
      const concernsAlarm = judgement.outcome !== 'superseded';
      entries.push(...this.#entries(watch, verdict, manifest, lastRow, concernsAlarm));
    }
    this.#options.recorder.store(entries);
  }

  /** @param judgedBy Manifest of the version that judged; undefined where none did. */
  #entries(
    watch: Watch,
    verdict: Verdict,
    judgedBy: ModelManifest | undefined,
    lastRow: Float32Array | undefined,
    concernsAlarm: boolean,
  ): readonly Entry[] {
    const { alarms, events, inference } = this.#options;
    const { alarm } = watch.config;
    const readings = watch.tagNumbers.map((tag) => this.#table.reading(tag));
    const draft = verdictDraft(verdict, lastRow, readings);
    const stored = (id: string): void => events.emit({ type: 'verdict', verdict, id });
    const entry: Entry = { draft, stored };
    if (!concernsAlarm || alarm === undefined) return [entry];
    const manifest = judgedBy ?? inference.ready(watch.model)?.manifest;
    const abnormal = alarm.abnormal ?? manifest?.abnormal ?? 'above';
    const tags = blamedTags(verdict, readings, manifest);
    return [entry, ...alarms.apply({ verdict, abnormal, tags, suppressed: this.#isSuppressed(watch) })];
  }

  /** Undefined where the tag that tells is not good: then nothing changes. */
  #isSuppressed({ config: { alarm } }: Watch): boolean | undefined {
    if (alarm?.suppressWhen === undefined) return false;
    const { tag, above = Infinity, below = -Infinity } = alarm.suppressWhen;
    const { value, quality } = this.#table.reading(this.#numbers.get(tag) ?? -1);
    return value === undefined || quality !== 'good' ? undefined : value > above || value < below;
  }

  #emitTags(): void {
    this.#tagEvents = undefined;
    this.#options.events.emit({ type: 'tags', tags: this.#table.takeChanged(TAGS_IN_EVENT_MAX) });
    if (this.#table.changed > 0) this.#tagEvents = this.#timer(() => this.#emitTags(), TAG_EVENTS_INTERVAL_MS);
  }

  #timer(callback: () => void, delayMs: number): Timer {
    return this.#options.deps.clock.setTimer(callback, delayMs, { background: true });
  }
}

/** @throws {InvariantError} where a tag is not in the table: the configuration was checked before. */
function numbersOf(id: string, config: WatchConfig, numbers: ReadonlyMap<string, TagNumber>): readonly TagNumber[] {
  const suppressing = config.alarm?.suppressWhen?.tag;
  invariant(
    suppressing === undefined || numbers.has(suppressing),
    `watch ${id} names '${suppressing}', which is no tag`,
  );
  return config.tags.map((name) => {
    const number = numbers.get(name);
    invariant(number !== undefined, `watch ${id} binds '${name}', which is no tag`);
    return number;
  });
}

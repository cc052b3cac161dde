import type { EpochMs } from '../domain/epoch-ms.ts';
import type { TagNumber } from '../domain/sample/tag.ts';
import {
  contributionsOf,
  judgeScore,
  type ScoreMemory,
  type VerdictRule,
  widenedRule,
} from '../domain/alarm/verdict-rule.ts';
import type { AlarmFacts } from '../domain/alarm/alarm.ts';
import { isSameVersion, type JudgedBy, type Verdict, unknownVerdict } from '../domain/alarm/verdict.ts';
import type { WatchCondition } from '../domain/alarm/watch-state.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import type { DueListener, Windower, WindowPlan } from '../domain/window/window-plan.ts';
import { createWindower } from '../domain/window/windower.ts';
import type { WatchOverview } from '../contracts/watch-statuses.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import { type Judgement, notReadyReason, type WindowModels } from '../contracts/window-models.ts';
import { type LiveSample, refill, refillSpanMs } from '../domain/window/refill.ts';
import type { SampleHistory } from '../contracts/sample-history.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import type { Deps } from '../platform/deps.ts';
import type { AlarmService } from './alarm-service.ts';
import { DriftMonitor } from './drift-monitor.ts';
import type { TagTable } from './tag-table.ts';
import type { VersionComparison } from './version-comparison.ts';
import type { WatchConfig } from './watch-config.ts';
import { WatchTelemetry } from './watch-telemetry.ts';

const MAX_AGE_MS_DEFAULT = 5000;
const LATENESS_MS_DEFAULT_MAX = 250;

/** A watch with its reports, and the state of its windows. */
export type RunningWatch = {
  readonly watch: Watch;
  readonly telemetry: WatchTelemetry;
  readonly drift: DriftMonitor;
  /** Samples since the history was asked to fill the window; undefined if it was not. */
  refilling: LiveSample[] | undefined;
  /** Due windows without a verdict. */
  pending: number;
  /** Resolved when the last of them has its verdict; undefined while more become due. */
  ended: PromiseWithResolvers<void> | undefined;
};

export function runningWatch(
  id: string,
  config: WatchConfig,
  tagNumbers: readonly TagNumber[],
  deps: Deps,
): RunningWatch {
  const reports = {
    telemetry: new WatchTelemetry(id, windowPlan(config, 1), deps),
    drift: new DriftMonitor(id, config.drift, deps),
  };
  return { watch: new Watch(id, config, tagNumbers), ...reports, refilling: undefined, pending: 0, ended: undefined };
}

/** Ends a watch: no further window becomes due. Resolves when each due window has its verdict. */
export async function endWatch(running: RunningWatch): Promise<void> {
  running.ended ??= Promise.withResolvers();
  running.refilling = undefined;
  running.watch.windower = undefined;
  if (running.pending === 0) running.ended.resolve();
  await running.ended.promise;
}

/**
 * Fills the window of a watch from the history, so that a restart, a reload or a longer window loses no time. Samples that
 * arrive meanwhile follow. No window that ended before is due. If the history has a gap up to now, or cannot be read, the
 * window fills from live samples.
 */
export async function fillFromHistory(
  running: RunningWatch,
  nowMs: EpochMs,
  history: SampleHistory,
  onDue: DueListener,
  deps: Deps,
): Promise<void> {
  const { watch } = running;
  const since: LiveSample[] = [];
  running.refilling = since;
  const plan = windowPlan(watch.config, watch.steps);
  const startMs = nowMs - refillSpanMs(plan);
  try {
    const series = await history.read(watch.config.tags, startMs, nowMs);
    // Another refill, a jump of the clock or the end of the watch makes this one worthless.
    if (running.refilling !== since || !watch.isFilling) return;
    let isLive = false;
    const windower = createWindower(plan, startMs, (window) => {
      if (isLive) onDue(window);
    });
    const isFilled = refill(windower, plan, series, since, deps.clock.nowMs());
    isLive = true;
    if (!isFilled) return;
    watch.windower = windower;
    watch.lateSamplesCounted = windower.lateSamples;
  } catch (error) {
    deps.log.info({ watch: watch.id, code: errorCode(error) }, `No window from the history: ${errorMessage(error)}`);
  } finally {
    if (running.refilling === since) running.refilling = undefined;
  }
}

/** Removes the health and the gauges of a watch that no longer runs. */
export function removeReports({ telemetry, drift }: RunningWatch): void {
  telemetry.remove();
  drift.remove();
}

/** The windows of a watch, its threshold, and its last verdict. */
export class Watch {
  readonly id: string;
  readonly config: WatchConfig;
  readonly tagNumbers: readonly TagNumber[];
  /** Undefined until the model was ready once, because the model has the window length. */
  windower: Windower | undefined;
  lateSamplesCounted = 0;
  #steps = 0;
  #lastVerdict: Verdict | undefined;
  /** Undefined until a score was judged. */
  #scoreMemory: ScoreMemory | undefined;
  #judgedBy: JudgedBy | undefined;

  constructor(id: string, config: WatchConfig, tagNumbers: readonly TagNumber[]) {
    this.id = id;
    this.config = config;
    this.tagNumbers = tagNumbers;
  }

  /** Rows of a window; 0 while unknown. */
  get steps(): number {
    return this.#steps;
  }

  /** Creates the windows with `steps` rows, or changes their length. */
  plan(steps: number, startMs: EpochMs, onDue: DueListener): void {
    this.#steps = steps;
    if (this.windower === undefined) this.windower = createWindower(windowPlan(this.config, steps), startMs, onDue);
    else this.windower.resize(steps);
  }

  /** True while no window can be due yet. */
  get isFilling(): boolean {
    return this.windower === undefined || this.windower.rows < this.#steps;
  }

  /** Returns the last verdict, or while the window fills, an unknown one with the number of rows. */
  lastVerdict(inference: WindowModels, nowMs: EpochMs): Verdict {
    if (this.#lastVerdict !== undefined && !this.isFilling) return this.#lastVerdict;
    return unknownVerdict(this.id, this.fillingReason(inference), nowMs);
  }

  /** Returns the reason for a missing verdict. */
  fillingReason(inference: WindowModels): string {
    if (this.windower === undefined) return notReadyReason(inference, this.config.model);
    return `window filling, ${this.windower.rows} of ${this.#steps} rows`;
  }

  /** Extreme of the score, for the alarm; undefined if there is none. */
  get scoreExtreme(): number | undefined {
    return this.#scoreMemory?.extreme;
  }

  /** @param alarm Facts of its alarm: used instead of the last verdict after a start, so that the deadband holds across it. */
  decide(judgement: Judgement, alarm: AlarmFacts | undefined): Verdict {
    const { timestampMs } = judgement.job.window;
    const verdict =
      judgement.outcome === 'judged'
        ? this.#judged(judgement, timestampMs, alarm)
        : unknownVerdict(this.id, judgement.reason, timestampMs);
    this.#lastVerdict = verdict;
    return verdict;
  }

  #judged(judgement: Judgement & { outcome: 'judged' }, timestampMs: EpochMs, alarm: AlarmFacts | undefined): Verdict {
    const { imputed, widening = 1 } = judgement;
    const rule = widenedRule(verdictRule(this.config, judgement.manifest), widening);
    const before = this.#scoreMemory ?? scoreMemoryOf(alarm);
    // The scores of another version have another scale.
    const isSameModel = this.#judgedBy === undefined || isSameVersion(this.#judgedBy, judgement.judgedBy);
    const after = judgeScore(judgement.score, rule, isSameModel ? before : { ...before, extreme: undefined });
    const isUncertain = imputed !== undefined && after.verdict === 'normal';
    // An uncertain verdict does not prove normal running: the next complete window is judged as if it had not been.
    if (!isUncertain) this.#scoreMemory = after;
    this.#judgedBy = judgement.judgedBy;
    const { tags } = this.config;
    // Such as 'flow: no good value for 12 s (timeout)'.
    const { reason: missing } = judgement.job.window;
    return {
      watch: this.id,
      timestampMs,
      verdict: isUncertain ? 'uncertain' : after.verdict,
      score: judgement.score,
      threshold: rule.threshold,
      reason: missing === undefined || imputed === undefined ? undefined : `estimated from the other tags: ${missing}`,
      ...(imputed === undefined ? {} : { imputed: imputed.map((column) => tags[column] ?? '') }),
      judgedBy: judgement.judgedBy,
      contributions: judgement.parts === undefined ? [] : contributionsOf(judgement.parts, this.config.tags),
    };
  }
}

/** Returns a watch with its present values and its last verdict. */
export function watchOverview(
  { watch, drift }: RunningWatch,
  table: Pick<TagTable, 'reading'>,
  parts: {
    readonly inference: WindowModels;
    readonly rollouts: VersionComparison | undefined;
    readonly alarms: Pick<AlarmService, 'stateOf'>;
    readonly deps: Pick<Deps, 'clock'>;
  },
): WatchOverview {
  const { id, config, tagNumbers } = watch;
  const manifest = parts.inference.ready(config.model)?.manifest;
  return {
    watch: id,
    model: formatModelReference(config.model),
    location: config.location,
    abnormal: config.alarm?.abnormal ?? manifest?.abnormal,
    tags: tagNumbers.map((number) => table.reading(number)),
    // The columns of the model are the tags of the watch, in the same order.
    normalRanges: tagNumbers.map((_number, column) => manifest?.tags[column]?.range),
    stepMs: config.window.stepMs,
    hopMs: config.window.hopMs ?? config.window.stepMs,
    alarmState: parts.alarms.stateOf(id),
    drift: drift.indexes,
    lastVerdict: watch.lastVerdict(parts.inference, parts.deps.clock.nowMs()),
    rollout: parts.rollouts?.rolloutOf(id),
  };
}

/** Returns the state of a watch for people. @param blindAfterMs Time without a verdict after which it is blind, ms. */
export function watchCondition(
  { watch, telemetry }: RunningWatch,
  now: {
    readonly table: Pick<TagTable, 'reading'>;
    readonly inference: WindowModels;
    readonly nowMs: EpochMs;
    readonly blindAfterMs: number;
  },
): WatchCondition & { readonly watch: string } {
  const { table, inference, nowMs, blindAfterMs } = now;
  const last = watch.lastVerdict(inference, nowMs);
  const rows = watch.windower?.rows ?? 0;
  const missing = missingTag(watch, table, nowMs);
  return { watch: watch.id, ...telemetry.condition({ last, rows, missing, blindAfterMs }) };
}

/**
 * Returns a tag of a watch that has no good value now, with its reason. Undefined if all but those that a model may estimate have one, and for windows that are
 * closer together than a value counts: their verdicts show it in time.
 */
function missingTag(
  { config, tagNumbers }: Watch,
  table: Pick<TagTable, 'reading'>,
  nowMs: EpochMs,
): string | undefined {
  const { hopMs, maxAgeMs, minGood, missingTagsMax = 0 } = windowPlan(config, 1);
  if (hopMs === 'scan' || hopMs <= maxAgeMs || minGood < 1) return undefined;
  const missing = tagNumbers.flatMap((number) => {
    const { tag, quality, reason, timestampMs } = table.reading(number);
    if (quality !== 'good') return [`${tag}: ${reason}`];
    return nowMs - timestampMs > maxAgeMs ? [`${tag}: nothing was received`] : [];
  });
  return missing.length > missingTagsMax ? missing[0] : undefined;
}

function scoreMemoryOf(alarm: AlarmFacts | undefined): ScoreMemory {
  return { verdict: alarm?.active === true ? 'abnormal' : 'normal', extreme: alarm?.scoreExtreme };
}

/** Returns the decision rule: the watch's settings, and the model's for the others. */
export function verdictRule(config: WatchConfig, manifest: ModelManifest): VerdictRule {
  const { alarm } = config;
  const threshold = alarm?.threshold ?? 'model';
  return {
    threshold: threshold === 'model' ? manifest.threshold : threshold,
    abnormal: alarm?.abnormal ?? manifest.abnormal,
    deadband: alarm?.deadband ?? manifest.deadband,
    // A dead band of the watch replaces the whole rule of the model for the end of an alarm.
    relativeEnd: alarm?.deadband === undefined ? manifest.relativeEnd : undefined,
  };
}

/** Returns the window plan of a watch with its defaults, for the pipeline and for backtests. */
export function windowPlan(config: WatchConfig, steps: number): WindowPlan {
  const { stepMs, hopMs, maxAgeMs, latenessMs, minGood, missingTags } = config.window;
  const spacingMs = stepMs === 'scan' ? 0 : stepMs;
  return {
    tags: config.tags,
    steps,
    stepMs,
    hopMs: hopMs ?? stepMs,
    maxAgeMs: maxAgeMs ?? Math.max(MAX_AGE_MS_DEFAULT, 3 * spacingMs),
    latenessMs: latenessMs ?? Math.min(spacingMs / 2, LATENESS_MS_DEFAULT_MAX),
    minGood,
    // Without the small term, rounding errors would turn 0.3 × 10 into 2 tags.
    missingTagsMax: Math.min(Math.floor(missingTags * config.tags.length + 1e-9), config.tags.length - 1),
  };
}

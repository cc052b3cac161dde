import type { ModelReference } from '../domain/model/model-reference.ts';
import type { InferenceHost } from '../contracts/inference.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { TagNumber } from '../domain/sample/tag.ts';
import type { VerdictRule } from '../domain/alarm/verdict-rule.ts';
import { contributionsOf, judgeScore } from '../domain/alarm/verdict-rule.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';
import type { DueListener, Windower, WindowPlan } from '../domain/window/window-plan.ts';
import { createWindower } from '../domain/window/windower.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import type { Judgement } from './judge.ts';
import { notReadyReason } from './judge.ts';
import type { WatchConfig } from './watch-config.ts';

const MAX_AGE_MS_DEFAULT = 5000;
const LATENESS_MS_DEFAULT_MAX = 250;

/** A watch at work: its windows, its decision line, and its last verdict. */
export class Watch {
  readonly id: string;
  readonly config: WatchConfig;
  readonly tagNumbers: readonly TagNumber[];
  /** Undefined until the model, which says how long a window is, was ready once. */
  windower: Windower | undefined;
  lateSamplesCounted = 0;
  #steps = 0;
  #lastVerdict: Verdict | undefined;
  /** Side of the last verdict that knew one. */
  #wasAbnormal: boolean | undefined;

  constructor(id: string, config: WatchConfig, tagNumbers: readonly TagNumber[]) {
    this.id = id;
    this.config = config;
    this.tagNumbers = tagNumbers;
  }

  get model(): ModelReference {
    return this.config.model;
  }

  /** Rows of its windows; 0 while unknown. */
  get steps(): number {
    return this.#steps;
  }

  /** Begins to fill windows of `steps` rows, or goes on with windows of that length. */
  plan(steps: number, startMs: EpochMs, onDue: DueListener): void {
    this.#steps = steps;
    if (this.windower === undefined) this.windower = createWindower(windowPlan(this.config, steps), startMs, onDue);
    else this.windower.resize(steps);
  }

  /** Whether no window can fall due yet. */
  get isFilling(): boolean {
    return this.windower === undefined || this.windower.rows < this.#steps;
  }

  /** The last verdict, or while windows fill, how far they are; for people. */
  lastVerdict(inference: InferenceHost, nowMs: EpochMs): Verdict {
    if (this.#lastVerdict !== undefined && !this.isFilling) return this.#lastVerdict;
    return this.unknown(this.fillingReason(inference), nowMs);
  }

  /** Why there is no verdict yet. */
  fillingReason(inference: InferenceHost): string {
    if (this.windower === undefined) return notReadyReason(inference, this.model);
    return `window filling, ${this.windower.rows} of ${this.#steps} rows`;
  }

  /** A verdict outside of any window: that nothing can be known, and why. */
  unknown(reason: string, timestampMs: EpochMs): Verdict {
    return {
      watch: this.id,
      timestampMs,
      verdict: 'unknown',
      score: undefined,
      threshold: undefined,
      reason,
      judgedBy: undefined,
      contributions: [],
    };
  }

  /** @param alarmIsActive Stands in for the last verdict after a start, so that the dead band holds across it. */
  decide(judgement: Judgement, alarmIsActive: boolean): Verdict {
    const { timestampMs } = judgement.ticket.window;
    const verdict =
      judgement.outcome === 'judged'
        ? this.#judged(judgement, timestampMs, alarmIsActive)
        : this.unknown(judgement.reason, timestampMs);
    this.#lastVerdict = verdict;
    return verdict;
  }

  #judged(judgement: Judgement & { outcome: 'judged' }, timestampMs: EpochMs, alarmIsActive: boolean): Verdict {
    const rule = verdictRule(this.config, judgement.manifest);
    const verdict = judgeScore(judgement.score, rule, this.#wasAbnormal ?? alarmIsActive);
    this.#wasAbnormal = verdict === 'abnormal';
    return {
      watch: this.id,
      timestampMs,
      verdict,
      score: judgement.score,
      threshold: rule.threshold,
      reason: '',
      judgedBy: judgement.judgedBy,
      contributions: judgement.parts === undefined ? [] : contributionsOf(judgement.parts, this.config.tags),
    };
  }
}

/** The decision line in force: what the watch says, and for the rest the model. */
export function verdictRule(config: WatchConfig, manifest: ModelManifest): VerdictRule {
  const { alarm } = config;
  const threshold = alarm?.threshold ?? 'model';
  return {
    threshold: threshold === 'model' ? manifest.threshold : threshold,
    abnormal: alarm?.abnormal ?? manifest.abnormal,
    deadband: alarm?.deadband ?? manifest.deadband,
  };
}

/** The plan of a watch's windows, its defaults filled in; for a backtest as for the live pipeline. */
export function windowPlan(config: WatchConfig, steps: number): WindowPlan {
  const { stepMs, hopMs, maxAgeMs, latenessMs, minGood } = config.window;
  const spacingMs = stepMs === 'scan' ? 0 : stepMs;
  return {
    tags: config.tags,
    steps,
    stepMs,
    hopMs: hopMs ?? stepMs,
    maxAgeMs: maxAgeMs ?? Math.max(MAX_AGE_MS_DEFAULT, 3 * spacingMs),
    latenessMs: latenessMs ?? Math.min(spacingMs / 2, LATENESS_MS_DEFAULT_MAX),
    minGood,
  };
}

import type { Verdict } from '../domain/alarm/verdict.ts';
import { type WatchCondition, watchState } from '../domain/alarm/watch-state.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { WindowPlan } from '../domain/window/window-plan.ts';
import type { Clock } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { type Judgement, LEARNING } from '../contracts/window-models.ts';
import { pipelineMetrics } from './pipeline-metrics.ts';

/** A watch that misses single windows stays degraded, instead of changing its health with each verdict. */
const OK_AFTER_MS = 10_000;
/** A watch without a verdict for this long is degraded. Unknown verdicts are reported immediately. */
const DEGRADED_AFTER_MS = 10_000;

/** Metrics, health (`watch/<id>`) and the state for people of a watch. */
export class WatchTelemetry {
  readonly #watch: string;
  readonly #maxAgeMs: number;
  readonly #hopMs: number;
  readonly #metrics;
  readonly #health: ComponentHealth;
  readonly #clock: Clock;
  #unknownMs = -Infinity;
  /** Monotonic times of the last verdicts, and of the last window that was judged or came closer to being full. */
  #decidedMs = -Infinity;
  #progressMs: number;
  #rows = 0;
  /** Since when a tag has had no value; undefined while all have one. */
  #missingMs: number | undefined;
  #condition: WatchCondition;

  constructor(id: string, { hopMs, maxAgeMs }: Pick<WindowPlan, 'hopMs' | 'maxAgeMs'>, deps: Deps) {
    this.#watch = id;
    this.#maxAgeMs = maxAgeMs;
    // With windows on scans, a window without samples is due after maxAge.
    this.#hopMs = hopMs === 'scan' ? maxAgeMs : hopMs;
    this.#metrics = deps.metrics.of(pipelineMetrics);
    this.#health = deps.health.component(`watch/${id}`);
    this.#health.report('ok');
    this.#clock = deps.clock;
    this.#progressMs = deps.clock.monotonicMs();
    this.#condition = { state: 'unknown', reason: undefined, sinceMs: deps.clock.nowMs(), judgedMs: undefined };
  }

  restarted(): void {
    this.#metrics.andon_windows_restarted_total.inc({ watch: this.#watch });
  }

  late(samples: number): void {
    this.#metrics.andon_samples_late_total.inc({ watch: this.#watch }, samples);
  }

  due(): void {
    this.#metrics.andon_windows_due_total.inc({ watch: this.#watch });
  }

  decided(outcome: Judgement['outcome'], verdict: Verdict, waitedMs: number): void {
    const watch = this.#watch;
    this.#metrics.andon_windows_decided_total.inc({ watch, outcome });
    this.#metrics.andon_verdicts_total.inc({ watch, verdict: verdict.verdict });
    this.#metrics.andon_verdict_latency_seconds.labels().observe(waitedMs / 1000);
    if (verdict.score !== undefined) this.#metrics.andon_score.set({ watch }, verdict.score);
    const nowMs = this.#clock.monotonicMs();
    this.#decidedMs = nowMs;
    if (verdict.verdict === 'unknown') return this.#degraded(verdict.reason, nowMs);
    this.#progressMs = nowMs;
    this.#condition = { ...this.#condition, judgedMs: verdict.timestampMs };
    if (verdict.imputed !== undefined) return this.#degraded(verdict.reason, nowMs);
    if (nowMs - this.#unknownMs >= OK_AFTER_MS) this.#health.report('ok');
    return undefined;
  }

  /**
   * Returns the state now. Called every second, so that its begin is known and a watch without verdicts is degraded.
   *
   * @param now.last The last verdict, or an unknown one with the reason why there is none.
   * @param now.rows Rows of the window.
   * @param now.missing Tag without a value now, with its reason; undefined if all have one.
   * @param now.blindAfterMs Time without a verdict after which the watch is blind, ms.
   */
  condition(now: {
    readonly last: Verdict;
    readonly rows: number;
    readonly missing: string | undefined;
    readonly blindAfterMs: number;
  }): WatchCondition {
    const { last, rows, missing, blindAfterMs } = now;
    const nowMs = this.#clock.monotonicMs();
    const isLearning = last.reason === LEARNING;
    if (isLearning || rows > this.#rows) this.#progressMs = nowMs;
    this.#rows = rows;
    if (missing === undefined) this.#missingMs = undefined;
    else this.#missingMs ??= nowMs;
    const ageMs = nowMs - this.#decidedMs;
    const unjudgedMs = nowMs - this.#progressMs;
    const next = watchState({
      isLearning,
      last,
      ageMs,
      hopMs: this.#hopMs,
      missing: nowMs - (this.#missingMs ?? nowMs) > this.#maxAgeMs ? missing : undefined,
      unjudgedMs,
      blindAfterMs,
    });
    const lacksVerdicts = next.state === 'unknown' && last.verdict !== 'unknown' && ageMs > DEGRADED_AFTER_MS;
    if (next.state === 'blind' || lacksVerdicts) this.#degraded(next.reason, nowMs);
    // A watch that learns has no verdicts that would end its trouble.
    if (isLearning) this.#health.report('ok');
    return this.#enter(next);
  }

  /** Removes the health and the gauges of a watch that no longer exists. */
  remove(): void {
    this.#health.remove();
    this.#metrics.andon_score.remove({ watch: this.#watch });
  }

  #degraded(reason: string | undefined, nowMs: number): void {
    this.#unknownMs = nowMs;
    this.#health.report('degraded', reason);
  }

  #enter({ state, reason }: Pick<WatchCondition, 'state' | 'reason'>): WatchCondition {
    const sinceMs: EpochMs = state === this.#condition.state ? this.#condition.sinceMs : this.#clock.nowMs();
    this.#condition = { ...this.#condition, state, reason, sinceMs };
    return this.#condition;
  }
}

import type { Verdict } from '../domain/alarm/verdict.ts';
import type { Clock } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import type { ComponentHealth } from '../platform/health.ts';
import type { Judgement } from '../contracts/window-models.ts';
import { pipelineMetrics } from './pipeline-metrics.ts';

/** A watch that misses single windows stays degraded, instead of changing its health with each verdict. */
const OK_AFTER_MS = 10_000;

/** Metrics and health (`watch/<id>`) of a watch. */
export class WatchTelemetry {
  readonly #watch: string;
  readonly #metrics;
  readonly #health: ComponentHealth;
  readonly #clock: Clock;
  #unknownMs = -Infinity;

  constructor(watch: string, deps: Deps) {
    this.#watch = watch;
    this.#metrics = deps.metrics.of(pipelineMetrics);
    this.#health = deps.health.component(`watch/${watch}`);
    this.#health.report('ok');
    this.#clock = deps.clock;
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
    this.#metrics.andon_verdict_latency_seconds.observe(waitedMs / 1000);
    if (verdict.score !== undefined) this.#metrics.andon_score.set({ watch }, verdict.score);
    const nowMs = this.#clock.monotonicMs();
    if (verdict.verdict === 'unknown') {
      this.#unknownMs = nowMs;
      this.#health.report('degraded', verdict.reason);
    } else if (nowMs - this.#unknownMs >= OK_AFTER_MS) this.#health.report('ok');
  }

  /** Removes the health and the gauges of a watch that no longer exists. */
  remove(): void {
    this.#health.remove();
    this.#metrics.andon_score.remove({ watch: this.#watch });
  }
}

import type { StoppedRollout } from '../contracts/rollout-statuses.ts';
import type { PlannedRollout } from '../domain/rollout/rollout-plan.ts';
import type { Deps } from '../platform/deps.ts';
import type { ComponentHealth } from '../platform/health.ts';
import type { Judgement } from '../contracts/window-models.ts';
import { rolloutMetrics } from './rollout-metrics.ts';
import type { Counted, Rollout } from './rollout.ts';

/** Metrics and health (`rollout/<watch>`) of a watch's rollouts. Without a rollout, there is no health entry. */
export class RolloutTelemetry {
  readonly #watch: string;
  readonly #deps: Deps;
  readonly #metrics;
  #health: ComponentHealth | undefined;

  constructor(watch: string, deps: Deps) {
    this.#watch = watch;
    this.#deps = deps;
    this.#metrics = deps.metrics.of(rolloutMetrics);
  }

  /** @param rollout The rollout in progress, or the last one if it was stopped. */
  planned(rollout: Rollout | undefined, { obstacle, rejected }: PlannedRollout): void {
    if (obstacle !== undefined) this.#report(rejected ? 'degraded' : 'ok', obstacle);
    else if (rollout === undefined) this.remove();
    else if (rollout.stopped === undefined) this.#report('ok', summary(rollout));
  }

  guestAnswered(rollout: Rollout, judgement: Judgement): void {
    if (rollout.stopped !== undefined) return;
    if (judgement.outcome === 'judged') this.#report('ok', summary(rollout));
    else if (judgement.outcome === 'failed') this.#report('degraded', judgement.reason);
  }

  counted({ said, failures }: Counted): void {
    const watch = this.#watch;
    if (said !== undefined) this.#metrics.andon_rollout_windows_total.inc({ watch, said });
    for (const [side, failure] of failures) this.#metrics.andon_rollout_failures_total.inc({ watch, side, failure });
  }

  stoodIn(): void {
    this.#metrics.andon_rollout_stand_ins_total.inc({ watch: this.#watch });
  }

  stopped({ plan }: Rollout, { cause, reason }: StoppedRollout): void {
    const { kind, name, candidate, incumbent } = plan;
    this.#metrics.andon_rollout_stopped_total.inc({ watch: this.#watch, kind, cause });
    this.#report(
      'degraded',
      `${kind} ${name}@${candidate} was stopped because ${reason}; ${name}@${incumbent} decides`,
      'rollout-stopped',
    );
  }

  notRolledBack({ plan, stopped }: Rollout, why: string): void {
    const { name, candidate } = plan;
    this.#report(
      'degraded',
      `${name}@${candidate} must be rolled back because ${stopped?.reason}, but is still active: ${why}`,
    );
  }

  /** Removes the health entry. */
  remove(): void {
    this.#health?.remove();
    this.#health = undefined;
  }

  #report(status: 'ok' | 'degraded', reason: string, code?: string): void {
    this.#health ??= this.#deps.health.component(`rollout/${this.#watch}`);
    this.#health.report(status, reason, code);
  }
}

function summary({ plan }: Rollout): string {
  const { kind, name, candidate, incumbent, endsMs } = plan;
  switch (kind) {
    case 'shadow':
      return `shadow: ${name}@${candidate} observes, ${name}@${incumbent} decides`;
    case 'canary':
      return `canary: ${name}@${candidate} decides, ${name}@${incumbent} observes`;
    case 'probation':
      return `on probation: ${name}@${candidate} decides, ${name}@${incumbent} observes until ${new Date(endsMs ?? 0).toISOString().slice(0, 16)}Z`;
  }
}

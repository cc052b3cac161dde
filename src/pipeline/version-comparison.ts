import type { RolloutOverview } from '../contracts/rollout-statuses.ts';
import type { Judgement, WindowJob } from '../contracts/window-models.ts';

/** The pipeline's view of rollouts: windows also go to the other version, and a canary decides verdicts. */
export interface VersionComparison {
  /** Adds a due window of a watch. The watch's own model judges it in the pipeline's judge. */
  enqueue(job: WindowJob): void;
  /** Returns the judgements that become verdicts now: those given, and earlier ones that waited for them. */
  pass(judgements: readonly Judgement[]): readonly Judgement[];
  /** Sets the receiver of judgements that waited for the other version; those of one watch arrive in order of time. */
  onReleased(listener: (judgements: readonly Judgement[]) => void): void;
  rolloutOf(watch: string): RolloutOverview | undefined;
  /** Resolves when no judgement waits for the other version any longer. */
  settle(): Promise<void>;
}

import type { RolloutPlan } from './rollout-plan.ts';
import type { TallySummary } from './rollout-tally.ts';

/** Share of windows judged alike from which two versions do the same work. */
const AGREES = 0.99;
/** Share of windows that a candidate may fail on before that is what must be said of it. */
const FAILS = 0.01;

export type ConcludedRollout = {
  readonly plan: Pick<RolloutPlan, 'kind' | 'name' | 'candidate' | 'incumbent'>;
  /** The version that decides now. */
  readonly decides: number;
  readonly summary: Pick<TallySummary, 'windows' | 'agreement' | 'alarmRate' | 'failures'>;
  /** Why the candidate was stopped; undefined where it was not. */
  readonly stopped: string | undefined;
  /** Windows below which nothing can be said. */
  readonly minWindows: number;
};

/** What a rollout means so far, and what to do next, for an operator. */
export function concludeRollout({ plan, decides, summary, stopped, minWindows }: ConcludedRollout): string {
  const { kind, name, candidate, incumbent } = plan;
  const label = `${name}@${candidate}`;
  if (stopped !== undefined && decides === candidate)
    return `${label} should not decide because ${stopped}, and could not be rolled back: choose a version with 'andon models activate'.`;
  if (stopped !== undefined)
    return `${label} was stopped because ${stopped}; ${name}@${incumbent} decides. Look at the disagreements, and train a better version; 'andon models activate ${label}' uses this one all the same.`;
  const { windows, agreement = 0, alarmRate, failures } = summary;
  const failed = Object.entries(failures.candidate)
    .filter(([failure]) => failure !== 'skipped' && failure !== 'not-ready')
    .reduce((sum, [, count]) => sum + count, 0);
  if (failed > FAILS * (windows + failed))
    return `${label} failed on ${failed} of ${windows + failed} windows: it is not ready to decide. ${refusal(plan)}`;
  if (windows < minWindows) return `Too early to say: both judged ${windows} windows, ${minWindows} are wanted.`;
  if (agreement >= AGREES) return `They agree on ${percent(agreement)} of ${windows} windows. ${acceptance(plan)}`;
  const rates = `${label} calls ${percent(alarmRate.candidate)} of the windows abnormal, ${name}@${incumbent} ${percent(alarmRate.incumbent)}`;
  const right = kind === 'probation' ? 'leave it active' : `andon models activate ${label}`;
  return `They agree on ${percent(agreement)} of ${windows} windows: ${rates}. Look at the last disagreements. Where ${label} is right: ${right}. Where it is wrong: ${refusal(plan)}`;
}

function acceptance({ kind, name, candidate }: ConcludedRollout['plan']): string {
  return kind === 'probation'
    ? `Nothing is to be done: ${name}@${candidate} stays active when its probation ends.`
    : `To have it decide everywhere: andon models activate ${name}@${candidate}.`;
}

function refusal({ kind, name }: ConcludedRollout['plan']): string {
  return kind === 'probation'
    ? `andon models rollback ${name}.`
    : `take '${kind}' out of the configuration, or name another version.`;
}

function percent(share = 0): string {
  return `${(share * 100).toFixed(1)} %`;
}

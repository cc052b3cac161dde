import type { RolloutPlan } from './rollout-plan.ts';
import type { TallySummary } from './rollout-tally.ts';

/** Share of equal verdicts from which two versions count as equivalent. */
const AGREES = 0.99;
/** Share of failed windows above which the conclusion is about the failures. */
const FAILS = 0.01;

export type ConcludedRollout = {
  readonly plan: Pick<RolloutPlan, 'kind' | 'name' | 'candidate' | 'incumbent'>;
  readonly decides: number;
  readonly summary: Pick<TallySummary, 'windows' | 'agreement' | 'alarmRate' | 'failures'>;
  readonly stopped: string | undefined;
  readonly minWindows: number;
};

/** Returns for an operator what the rollout shows so far and what to do next. */
export function concludeRollout({ plan, decides, summary, stopped, minWindows }: ConcludedRollout): string {
  const { kind, name, candidate, incumbent } = plan;
  const label = `${name}@${candidate}`;
  if (stopped !== undefined && decides === candidate)
    return `${label} must not decide because ${stopped}, and it could not be rolled back. Activate another version with 'andon models activate'.`;
  if (stopped !== undefined)
    return `${label} was stopped because ${stopped}; ${name}@${incumbent} decides. Check the disagreements and train a better version. 'andon models activate ${label}' uses this version anyway.`;
  const { windows, agreement = 0, alarmRate, failures } = summary;
  const failed = Object.entries(failures.candidate)
    .filter(([failure]) => failure !== 'skipped' && failure !== 'not-ready')
    .reduce((sum, [, count]) => sum + count, 0);
  if (failed > FAILS * (windows + failed))
    return `${label} failed on ${failed} of ${windows + failed} windows, so it is not ready to decide. To end the rollout: ${refusal(plan)}`;
  if (windows < minWindows)
    return `Too early for a conclusion: both versions judged ${windows} windows, ${minWindows} are required.`;
  if (agreement >= AGREES)
    return `The versions agree on ${percent(agreement)} of ${windows} windows. ${acceptance(plan)}`;
  const rates = `${label} found ${percent(alarmRate.candidate)} of the windows abnormal, ${name}@${incumbent} ${percent(alarmRate.incumbent)}`;
  const right = kind === 'probation' ? 'leave it active' : `andon models activate ${label}`;
  return `The versions agree on ${percent(agreement)} of ${windows} windows: ${rates}. Check the last disagreements. If ${label} is right: ${right}. If it is wrong: ${refusal(plan)}`;
}

function acceptance({ kind, name, candidate }: ConcludedRollout['plan']): string {
  return kind === 'probation'
    ? `No action is required: ${name}@${candidate} stays active when its probation ends.`
    : `To use it for every watch: andon models activate ${name}@${candidate}.`;
}

function refusal({ kind, name }: ConcludedRollout['plan']): string {
  return kind === 'probation'
    ? `andon models rollback ${name}.`
    : `remove '${kind}' from the configuration, or set another version.`;
}

function percent(share = 0): string {
  return `${(share * 100).toFixed(1)} %`;
}

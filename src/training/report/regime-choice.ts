import type { MachineRegimes } from '../../domain/model/machine-regimes.ts';
import type { TrainingAlgorithm } from '../core/algorithm.ts';
import { mean, rounded } from '../core/statistics.ts';
import { assessFit, type FitOrder } from './algorithm-choice.ts';
import type { Assessment } from './assessment.ts';
import { regimesOf } from './regimes.ts';

export type RegimeChoice = {
  /** Regimes that the model uses; undefined if it learns all rows as they are. */
  readonly regimes: MachineRegimes | undefined;
  /** Assessment of the fit that was chosen; undefined if there are too few rows for one. */
  readonly assessment: Assessment | undefined;
  /** Regimes found and the decision, for the report; undefined if there are no regimes. */
  readonly text: string | undefined;
};

/**
 * Finds regimes in the rows and tries fits with and without a centre for each. The centres are used only if the fit with them
 * finds as many of the injected faults and has no more false alarms on held-out rows.
 */
export async function chooseRegimes(algorithm: TrainingAlgorithm, order: FitOrder): Promise<RegimeChoice> {
  const regimes = regimesOf(order.segments);
  if (regimes === undefined) return { regimes, assessment: await assessFit(algorithm, order), text: undefined };
  const units = regimes;
  const without = await assessFit(algorithm, order, { units });
  const withCentres = await assessFit(algorithm, order, { units, centres: regimes });
  const one = figuresOf(without);
  const other = figuresOf(withCentres);
  const found = `The rows have ${regimes.centres.length} regimes, groups that lie far apart.`;
  const figures = `On held-out rows, a fit with a centre for each finds ${other.text}; without centres, ${one.text}.`;
  return other.detected >= one.detected && other.falseAlarms <= one.falseAlarms && withCentres !== undefined
    ? { regimes, assessment: withCentres, text: `${found} The model has a centre for each. ${figures}` }
    : { regimes: undefined, assessment: without, text: `${found} The model has no centres for them. ${figures}` };
}

/** Share of the rows of injected faults that are abnormal, and of normal running. */
function figuresOf(assessment: Assessment | undefined) {
  const falseAlarms = assessment?.metrics['held_out_false_alarm_rate'] ?? 1;
  const faults = assessment?.faults?.flatMap((tag) => tag.faults.map(({ share }) => share)) ?? [];
  const detected = faults.length === 0 ? 0 : mean(faults);
  const percent = (share: number) => `${rounded(100 * share, 3)} %`;
  const text = `${faults.length === 0 ? 'no' : percent(detected)} rows of injected faults, with ${percent(falseAlarms)} of normal rows in alarm`;
  return { falseAlarms, detected, text };
}

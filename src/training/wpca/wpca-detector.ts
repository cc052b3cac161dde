import { DETECTOR_ROWS_ADVISED, DETECTOR_ROWS_MIN } from '../../domain/learning/rows-needed.ts';
import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { independence } from '../core/autocorrelation.ts';
import { despike } from '../core/despike.ts';
import { concatenated, mean, moments, quantile, rounded, sharesOf } from '../core/statistics.ts';
import {
  BLOCKS,
  blockSpans,
  countSpans,
  heldOutBlocks,
  mergedSpans,
  outsideSpans,
  type RowSpan,
  withinSpans,
  withoutSpans,
} from '../core/training-blocks.ts';
import { trainingFailure } from '../core/training-errors.ts';
import { checkTrainingRows, countRows, type TrainingRows } from '../core/training-rows.ts';
import { type Imputation } from '../../domain/model/imputation.ts';
import { partMeasures, PARTS_OUTPUT, wpcaGraph } from './wpca-graph.ts';
import { fitWpca, LASTING_ROWS, precisionOf, SHIFT_ROWS, SMOOTHING_ROWS, windowRows, type WpcaModel } from './wpca.ts';
import {
  NO_LIMIT,
  type StatisticName,
  statisticNames,
  usesLasting,
  wpcaContributions,
  type WpcaLimits,
  type WpcaStatistics,
  wpcaStatistics,
} from './wpca-statistics.ts';

/** A shorter rest of a run is not used. */
const SEGMENT_ROWS_MIN = 40;

/** The limits of T² and R² are this quantile of blocked normal running, times a margin: the next hour may look different. */
const LIMIT_QUANTILE = 0.95;
/** The margin grows with the spread of R², as this power of the quantile over the median, from `MARGIN_MIN` to `MARGIN_MAX`. */
const MARGIN_POWER = 1.43;
/** Above the quantile also for a steady history, which costs few faulty rows and saves most of its false alarms. */
const MARGIN_MIN = 1.03;
const MARGIN_MAX = 1.5;
/** T² measures drift, which is often harmless: its margin is this many times that of R². */
const DRIFT_MARGIN_FACTOR = 3;
/** The limits of M and V are this many standard deviations above the median, on a logarithmic scale. */
const SHIFT_DEVIATIONS = 5;
const ROUGHNESS_DEVIATIONS = 6;
/** As M, for the mean of R² over more rows. */
const LASTING_DEVIATIONS = 5;
/** Its limit needs a history of so many independent means. */
const LASTING_MEANS_MIN = 60;
/** With more tags, the longer window would cost too much, and M sees small shifts well. */
const LASTING_TAGS_MAX = 30;
/** 95 % quantile of a standard normal distribution. */
const NORMAL_QUANTILE_95 = 1.645;

/** History drifts if the logarithms of the blocks' mean R² have a larger deviation. */
const DRIFT_DEVIATION_MIN = 0.05;
const RELATIVE_END = { end: 0.3, restart: 1.6 };
/** Largest dead band; smaller if normal running is near the limit, as it is with many tags. */
const DEADBAND_MAX = 0.2;

/**
 * A block is not normal running if its mean R² is above this many times that of the median block, and the logarithm of that
 * ratio above this many median deviations: blocks of a machine that drifts differ more.
 */
const FAULTY_BLOCK_FACTOR = 2;
const FAULTY_BLOCK_SPREADS = 8;
/** Windows of a block from which on its neighbours can be left out as well. */
const BLOCK_WINDOWS_APART = 2;
/** If more of the rows differ, it is not known which of them are normal, and none is left out. */
const LEFT_OUT_SHARE_MAX = 3 / 8;
const SEARCHES_MAX = 3;

/** Least weight of the rows that a person marked as normal: their direction becomes a direction of drift. */
const MARKED_SHARE = 0.2;

/** Whitened principal components of lag-stacked rows: notices that tags no longer move together as they did. */
export const wpcaAlgorithm: TrainingAlgorithm = {
  name: 'wpca',
  description: 'notices that tags no longer move together as they did, stuck and noisy tags; needs normal running only',
  tasks: ['anomaly'],
  rowsMin: DETECTOR_ROWS_MIN,
  rowsAdvised: DETECTOR_ROWS_ADVISED,
  fit: async ({ segments, normal, windowRows: rowsMax, onProgress }: TrainingInput) =>
    fittedWpca(trainWpca(segments, normal, onProgress, rowsMax)),
};

function fittedWpca(detector: WpcaDetector): FittedModel {
  const { model, limits, deadband, isDrifting, leftOut, warnings } = detector;
  const isLasting = usesLasting(limits);
  const steps = windowRows(model, isLasting);
  return {
    windowRows: steps,
    graph: () => wpcaGraph(detector),
    judge: (rows) => ({ scores: detectorScores(detector, rows).subarray(Math.min(steps - 1, rows.count)) }),
    explain: (window) => decidingShares(detector, window),
    decision: { deadband: rounded(deadband, 3), relativeEnd: isDrifting ? RELATIVE_END : undefined },
    leftOut,
    imputation: detector.imputation,
    details: {
      lags: model.lags,
      smoothingRows: SMOOTHING_ROWS,
      shiftRows: SHIFT_ROWS,
      driftComponents: model.drift.components,
      restComponents: model.rest.components,
      driftLimit: rounded(limits.drift, 7),
      restLimit: rounded(limits.rest, 7),
      shiftLimit: rounded(limits.shift, 7),
      roughnessLimit: rounded(limits.roughness, 7),
      ...(isLasting ? { lastingRows: LASTING_ROWS, lastingLimit: rounded(limits.lasting, 7) } : {}),
      independentSpans: rounded(detector.independentSpans, 4),
    },
    warnings,
  };
}

/** Returns the shares in the statistic that decides the last row's score; negative parts count as 0. */
function decidingShares({ model, limits }: WpcaDetector, window: TrainingRows): Float64Array {
  const statistics = wpcaStatistics(model, window);
  const ratio = (name: StatisticName) => (statistics[name].at(-1) ?? 0) / limits[name];
  const deciding = statisticNames.reduce((worst, name) => (ratio(name) >= ratio(worst) ? name : worst));
  return sharesOf(wpcaContributions(model, window, deciding).map((part) => Math.max(part, 0)));
}

/** A model with its limits. Score: the largest statistic in units of its limit; abnormal above 1. */
export type WpcaDetector = {
  readonly model: WpcaModel;
  /** Margins included. */
  readonly limits: WpcaLimits;
  /** Distance below 1 at which the score is normal again. */
  readonly deadband: number;
  /** 95 % quantile of R² over its median, in rows outside the fit. */
  readonly restSpread: number;
  /** True if normal running was different from block to block. */
  readonly isDrifting: boolean;
  /** Blocks of the training rows that differ so much from the others that they were not used. */
  readonly leftOut: readonly RowSpan[];
  /** Estimation of missing tags; undefined for one tag. */
  readonly imputation: Imputation | undefined;
  /** Training rows divided by the autocorrelation time of the slowest tag: number of independent observations. */
  readonly independentSpans: number;
  /** Reasons for an operator to distrust the limits; empty if there are none. */
  readonly warnings: readonly string[];
};

/**
 * Learns normal running.
 *
 * The limits come from rows outside the fit: limits from the training rows themselves are far too tight (98 % false
 * alarms on a stationary plant; blocked limits give 0.3 %). Blocks with a fault are left out, because a fault in the training
 * rows would be normal for the model and widen its limits.
 *
 * @param segments Runs without a gap, normal running only; `DETECTOR_ROWS_MIN` rows or more in all.
 * @param normal Rows that a person marked as normal, however unlike the others they are. They have a weight of
 *   `MARKED_SHARE` or more, are in every fit and widen no limit: only how they differ becomes normal.
 * @param rowsMax Longest window. One of fewer than `LASTING_ROWS` rows has no mean over so many.
 * @throws {OperatingError} 'training-too-few-rows' | 'training-too-many-rows' | 'training-too-many-tags' |
 *   'training-value-invalid' | 'training-no-variance' (reject).
 */
export function trainWpca(
  segments: readonly TrainingRows[],
  normal: readonly RowSpan[] = [],
  onProgress: (share: number) => void = () => undefined,
  rowsMax = Number.POSITIVE_INFINITY,
): WpcaDetector {
  checkTrainingRows(segments, DETECTOR_ROWS_MIN);
  const clean = segments.map(despike);
  const unmarked = withoutSpans(clean, normal);
  checkTrainingRows(unmarked, DETECTOR_ROWS_MIN);
  const leftOut = faultySpans(unmarked, onProgress);
  const used = withoutSpans(unmarked, leftOut);
  const marked = weighted(withinSpans(clean, normal, SEGMENT_ROWS_MIN), countRows(used));
  const model = fitDetector([...used, ...marked]);
  const blocks = blockedStatistics(used, { lags: model.lags, apart: 0, marked }, (share) =>
    onProgress((1 + share) / 2),
  );
  const isLongEnough = countRows(used) >= LASTING_MEANS_MIN * LASTING_ROWS;
  const found = limitsOf(blocks, isLongEnough && model.tags <= LASTING_TAGS_MAX && windowRows(model, true) <= rowsMax);
  return {
    model,
    ...found,
    leftOut: outsideSpans(normal, leftOut),
    imputation: imputationOf(model, found.limits),
    ...independence(used),
  };
}

/** Returns the runs as often as it takes for their share of all rows. */
function weighted(runs: readonly TrainingRows[], others: number): readonly TrainingRows[] {
  const rows = countRows(runs);
  if (rows === 0) return [];
  const times = Math.ceil((others * MARKED_SHARE) / (1 - MARKED_SHARE) / rows);
  return Array.from({ length: times }, () => runs).flat();
}

function imputationOf(model: WpcaModel, limits: WpcaLimits): Imputation | undefined {
  const { tags, lags, standardisation } = model;
  if (tags < 2) return undefined;
  return {
    means: [...standardisation.means],
    deviations: [...standardisation.deviations],
    lags,
    precision: precisionOf(model),
    parts: PARTS_OUTPUT,
    measures: partMeasures(limits),
  };
}

/** Returns the score of every row; the first `windowRows − 1` rows have a shorter window. */
export function detectorScores({ model, limits }: WpcaDetector, rows: TrainingRows): Float64Array {
  return worstRatios(wpcaStatistics(model, rows), limits);
}

function worstRatios(statistics: WpcaStatistics, limits: WpcaLimits): Float64Array {
  return statistics.rest.map((_, row) =>
    Math.max(...statisticNames.map((name) => (statistics[name][row] ?? 0) / limits[name])),
  );
}

/** Statistics of each block from a model of other rows; undefined for a block without a run that is long enough. */
type BlockStatistics = readonly (WpcaStatistics | undefined)[];

/** @throws {OperatingError} 'training-too-few-rows' | 'training-no-variance' (reject). */
function fitDetector(segments: readonly TrainingRows[]): WpcaModel {
  const long = longRuns(segments);
  checkTrainingRows(long, DETECTOR_ROWS_MIN);
  return fitWpca(long);
}

type BlockPlan = {
  readonly lags: number;
  /** Number of blocks on each side of a block that its model does not learn. */
  readonly apart: number;
  /** Runs that each model learns. */
  readonly marked?: readonly TrainingRows[];
};

/** @throws {OperatingError} 'training-too-few-rows' (reject). */
function blockedStatistics(
  segments: readonly TrainingRows[],
  { lags, apart, marked = [] }: BlockPlan,
  onProgress: (share: number) => void,
): BlockStatistics {
  const blocks = heldOutBlocks(segments, { apart }).map(({ heldOut, others }, block) => {
    const rest = longRuns([...others, ...marked]);
    const statistics =
      rest.length === 0
        ? []
        : heldOut.map(({ rows, skip }) => settled(wpcaStatistics(fitWpca(rest, lags), rows), lags, skip));
    onProgress((block + 1) / BLOCKS);
    return statistics.length === 0 ? undefined : joined(statistics);
  });
  if (blocks.every((block) => block === undefined))
    throw trainingFailure(
      'training-too-few-rows',
      `No run among the ${countRows(segments)} training rows is long enough to check limits on`,
    );
  return blocks;
}

/**
 * Returns the rows that are unlike the others. The models of the search learn neither a block nor its neighbours: a fault that
 * lasts from one block into the next would be learned from the one and hidden in the other.
 */
function faultySpans(segments: readonly TrainingRows[], onProgress: (share: number) => void): readonly RowSpan[] {
  let leftOut: readonly RowSpan[] = [];
  for (let search = 0; search < SEARCHES_MAX; search += 1) {
    const used = withoutSpans(segments, leftOut);
    const spans = blockSpans(used);
    const report = (share: number) => onProgress((search + share) / (2 * SEARCHES_MAX));
    const model = fitDetector(used);
    // In a short history, a model without three of eight blocks knows too little of normal running.
    const apart = countRows(used) / BLOCKS < BLOCK_WINDOWS_APART * windowRows(model) ? 0 : 1;
    const blocks = blockedStatistics(used, { lags: model.lags, apart }, report);
    const faulty = faultyBlocks(blocks).flatMap((block) => spans[block] ?? []);
    const more = mergedSpans(leftOut, faulty);
    if (faulty.length === 0 || countSpans(more) > LEFT_OUT_SHARE_MAX * countRows(segments)) break;
    leftOut = more;
  }
  return leftOut;
}

function longRuns(segments: readonly TrainingRows[]): readonly TrainingRows[] {
  return segments.filter(({ count }) => count >= SEGMENT_ROWS_MIN);
}

/**
 * Returns the statistics of the rows that count. At the start of a run, windows are short and their means are not settled:
 * up to three quarters of a short run do not count.
 *
 * @param skip Rows of the lead-in.
 */
function settled(statistics: WpcaStatistics, lags: number, skip: number): WpcaStatistics {
  const of = (name: StatisticName, meanRows: number) => {
    const values = statistics[name];
    const shortest = Math.min(lags + SHIFT_ROWS + meanRows + 1, Math.floor(((values.length - skip) * 3) / 4));
    return values.subarray(Math.max(skip, shortest));
  };
  return {
    drift: of('drift', SMOOTHING_ROWS),
    rest: of('rest', SMOOTHING_ROWS),
    shift: of('shift', 1),
    roughness: of('roughness', 1),
    lasting: of('lasting', LASTING_ROWS),
  };
}

function joined(parts: readonly WpcaStatistics[]): WpcaStatistics {
  const of = (name: StatisticName) => concatenated(parts.map((part) => part[name]));
  return {
    drift: of('drift'),
    rest: of('rest'),
    shift: of('shift'),
    roughness: of('roughness'),
    lasting: of('lasting'),
  };
}

/** Returns the numbers of the blocks that are unlike the others, more than these are unlike each other. */
function faultyBlocks(blocks: BlockStatistics): readonly number[] {
  const levels = blocks.map((block) => (block === undefined ? Number.NaN : Math.log(mean(block.rest))));
  const usual = medianOf(levels);
  const spread = medianOf(levels.map((level) => Math.abs(level - usual)));
  const limit = Math.max(Math.log(FAULTY_BLOCK_FACTOR), FAULTY_BLOCK_SPREADS * spread);
  return [...levels.keys()].filter((block) => (levels[block] ?? 0) - usual > limit);
}

function medianOf(values: readonly number[]): number {
  return quantile(Float64Array.from(values.filter(Number.isFinite)), 0.5);
}

/** @param mayLast True if the mean over `LASTING_ROWS` may have a limit. */
function limitsOf(
  blocks: BlockStatistics,
  mayLast: boolean,
): Pick<WpcaDetector, 'limits' | 'restSpread' | 'deadband' | 'isDrifting'> {
  const known = blocks.filter((block) => block !== undefined);
  const pool = joined(known);
  const high = (name: StatisticName) => quantile(pool[name], LIMIT_QUANTILE);
  const median = (name: StatisticName) => quantile(pool[name], 0.5);
  const spread = (name: StatisticName) => high(name) / Math.max(median(name), 1e-9);
  const margin = Math.min(MARGIN_MAX, MARGIN_MIN * spread('rest') ** MARGIN_POWER);
  const above = (name: StatisticName, deviations: number) =>
    median(name) * spread(name) ** (deviations / NORMAL_QUANTILE_95);
  const limit = (value: number) => (value > 0 ? Math.min(value, NO_LIMIT) : NO_LIMIT);
  const levels = known.map(({ rest }) => Math.log(Math.max(mean(rest), 1e-9)));
  const sampleDeviation = moments(levels).deviation * Math.sqrt(levels.length / Math.max(levels.length - 1, 1));
  const isDrifting = sampleDeviation > DRIFT_DEVIATION_MIN;
  // Where normal running differs from hour to hour, so does its mean over more rows.
  const isLasting = !isDrifting && mayLast;
  const limits = {
    drift: limit(DRIFT_MARGIN_FACTOR * margin * high('drift')),
    rest: limit(margin * high('rest')),
    shift: limit(above('shift', SHIFT_DEVIATIONS)),
    roughness: limit(above('roughness', ROUGHNESS_DEVIATIONS)),
    lasting: isLasting ? limit(above('lasting', LASTING_DEVIATIONS)) : NO_LIMIT,
  };
  const usualScore = quantile(worstRatios(sameLength(pool, isLasting), limits), 0.5);
  return {
    limits,
    restSpread: spread('rest'),
    deadband: Math.min(DEADBAND_MAX, (1 - usualScore) / 2),
    isDrifting,
  };
}

/** Cuts the statistics that settle earlier, so that each row has all. @param isLasting False: `lasting` is left empty. */
function sameLength(pool: WpcaStatistics, isLasting: boolean): WpcaStatistics {
  const names = statisticNames.filter((name) => isLasting || name !== 'lasting');
  const rows = Math.min(...names.map((name) => pool[name].length));
  const of = (name: StatisticName) => pool[name].subarray(-rows);
  return {
    drift: of('drift'),
    rest: of('rest'),
    shift: of('shift'),
    roughness: of('roughness'),
    lasting: isLasting ? of('lasting') : new Float64Array(0),
  };
}

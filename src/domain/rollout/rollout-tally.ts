import { type Distribution, distributionBin, populationStabilityIndex } from '../model/drift.ts';
import type { EpochMs } from '../epoch-ms.ts';
import { countLatency, latencyQuantile, emptyLatencyCounts } from '../latency-counts.ts';
import type { RolloutSide } from './rollout-plan.ts';

/** Most disagreements kept; the latest ones. */
const DISAGREEMENTS_MAX = 20;
/** Latest windows whose scores are kept, for a plot. */
const RECENT_MAX = 240;
/** Fewest windows for a comparison of distributions. */
const DRIFT_WINDOWS_MIN = 200;

/**
 * Why a version did not judge a window. 'invalid': NaN, infinity, or a failed run. 'not-ready': loading, or its process is
 * being replaced. 'skipped': a newer window was due before this one could run.
 */
export const rolloutFailures = ['crash', 'deadline', 'invalid', 'not-ready', 'skipped'] as const;
export type RolloutFailure = (typeof rolloutFailures)[number];

/** Judgement of one version on a window. */
export type SideJudgement = {
  readonly score: number;
  readonly threshold: number;
  readonly verdict: 'normal' | 'abnormal';
  /** Time since the window was due. */
  readonly latencyMs: number;
  /** Distribution of its scores in training. */
  readonly distribution: Distribution | undefined;
};

/** A window with different verdicts. */
type Disagreement = { readonly timestampMs: EpochMs } & {
  readonly [Side in RolloutSide]: Pick<SideJudgement, 'score' | 'threshold' | 'verdict'>;
};

/** Scores of both versions on the latest windows, in columns of equal length, oldest first. */
type RecentScores = { readonly timestampsMs: number[] } & { readonly [Side in RolloutSide]: number[] };

/** Windows by the verdicts of both versions. */
export type AgreementTable = { bothNormal: number; bothAbnormal: number; onlyCandidate: number; onlyIncumbent: number };

/** All counts as plain data of bounded size, which is stored for a restart. */
export type TallyState = {
  sinceMs: EpochMs;
  table: AgreementTable;
  /** Running means and sums of squared differences (Welford), for the correlation. */
  scores: {
    candidate: number;
    incumbent: number;
    candidateSquares: number;
    incumbentSquares: number;
    products: number;
  };
  latencies: Record<RolloutSide, number[]>;
  failures: Record<RolloutSide, Record<RolloutFailure, number>>;
  /** Windows by the bin of their score. `between` counts the candidate's scores in the incumbent's bins. */
  bins: Record<RolloutSide | 'between', number[]>;
  disagreements: Disagreement[];
};

/** Summary of a tally, for operators and scripts. */
export type TallySummary = {
  readonly sinceMs: EpochMs;
  /** Windows judged by both versions. */
  readonly windows: number;
  readonly table: Readonly<AgreementTable>;
  /** Share of windows with equal verdicts; undefined before the first. */
  readonly agreement: number | undefined;
  readonly alarmRate: Readonly<Record<RolloutSide, number | undefined>>;
  /** Pearson correlation; undefined if one score is constant. */
  readonly scoreCorrelation: number | undefined;
  /** Mean score of the candidate minus that of the incumbent. */
  readonly scoreDifference: number | undefined;
  readonly latencyMs: Readonly<
    Record<RolloutSide, { readonly p50: number | undefined; readonly p99: number | undefined }>
  >;
  readonly failures: Readonly<Record<RolloutSide, Readonly<Record<RolloutFailure, number>>>>;
  /** Population stability index of the scores of each version against its training, and of one against the other. */
  readonly drift: Readonly<Record<RolloutSide | 'between', number | undefined>>;
  readonly disagreements: readonly Disagreement[];
  /** Since the start of the agent. */
  readonly recent: RecentScores;
  /** Thresholds at the latest window; undefined before the first. */
  readonly thresholds: Readonly<Record<RolloutSide, number | undefined>>;
};

/** Counts the judgements of two versions on the same windows. Its size does not depend on their number. */
export class RolloutTally {
  readonly state: TallyState;
  readonly #recent: RecentScores = { timestampsMs: [], candidate: [], incumbent: [] };
  #thresholds: TallySummary['thresholds'] = { candidate: undefined, incumbent: undefined };
  #distributions: Readonly<Record<RolloutSide, Distribution | undefined>> = {
    candidate: undefined,
    incumbent: undefined,
  };

  /** @param state Counts from before a restart, if any. */
  constructor(nowMs: EpochMs, state: TallyState = emptyState(nowMs)) {
    this.state = state;
  }

  get windows(): number {
    const { bothNormal, bothAbnormal, onlyCandidate, onlyIncumbent } = this.state.table;
    return bothNormal + bothAbnormal + onlyCandidate + onlyIncumbent;
  }

  failed(side: RolloutSide, failure: RolloutFailure): void {
    this.state.failures[side][failure] += 1;
  }

  /** Counts a window that both versions judged. */
  compare(timestampMs: EpochMs, candidate: SideJudgement, incumbent: SideJudgement): keyof AgreementTable {
    const cell = agreementCell(candidate, incumbent);
    this.state.table[cell] += 1;
    this.#addScores(candidate.score, incumbent.score);
    this.#addRecent(timestampMs, candidate, incumbent);
    countLatency(this.state.latencies.candidate, candidate.latencyMs);
    countLatency(this.state.latencies.incumbent, incumbent.latencyMs);
    this.#addBins(candidate, incumbent);
    if (cell === 'onlyCandidate' || cell === 'onlyIncumbent') {
      const { disagreements } = this.state;
      disagreements.push({ timestampMs, candidate: shown(candidate), incumbent: shown(incumbent) });
      if (disagreements.length > DISAGREEMENTS_MAX) disagreements.shift();
    }
    return cell;
  }

  summary(): TallySummary {
    const { sinceMs, table, scores, latencies, failures, disagreements } = this.state;
    const { windows } = this;
    const share = (count: number) => (windows === 0 ? undefined : count / windows);
    const spread = Math.sqrt(scores.candidateSquares * scores.incumbentSquares);
    const quantiles = (side: RolloutSide) => ({
      p50: latencyQuantile(latencies[side], 0.5),
      p99: latencyQuantile(latencies[side], 0.99),
    });
    return {
      sinceMs,
      windows,
      table,
      agreement: share(table.bothNormal + table.bothAbnormal),
      alarmRate: {
        candidate: share(table.bothAbnormal + table.onlyCandidate),
        incumbent: share(table.bothAbnormal + table.onlyIncumbent),
      },
      scoreCorrelation: spread > 0 ? scores.products / spread : undefined,
      scoreDifference: windows === 0 ? undefined : scores.candidate - scores.incumbent,
      latencyMs: { candidate: quantiles('candidate'), incumbent: quantiles('incumbent') },
      failures,
      drift: this.#drift(),
      disagreements,
      recent: this.#recent,
      thresholds: this.#thresholds,
    };
  }

  #addRecent(timestampMs: EpochMs, candidate: SideJudgement, incumbent: SideJudgement): void {
    this.#recent.timestampsMs.push(timestampMs);
    this.#recent.candidate.push(candidate.score);
    this.#recent.incumbent.push(incumbent.score);
    this.#thresholds = { candidate: candidate.threshold, incumbent: incumbent.threshold };
    if (this.#recent.timestampsMs.length <= RECENT_MAX) return;
    for (const column of Object.values(this.#recent)) column.shift();
  }

  #addScores(candidate: number, incumbent: number): void {
    const { scores } = this.state;
    const { windows } = this;
    const candidateStep = candidate - scores.candidate;
    const incumbentStep = incumbent - scores.incumbent;
    scores.candidate += candidateStep / windows;
    scores.incumbent += incumbentStep / windows;
    scores.candidateSquares += candidateStep * (candidate - scores.candidate);
    scores.incumbentSquares += incumbentStep * (incumbent - scores.incumbent);
    scores.products += candidateStep * (incumbent - scores.incumbent);
  }

  #addBins(candidate: SideJudgement, incumbent: SideJudgement): void {
    const { bins } = this.state;
    this.#distributions = { candidate: candidate.distribution, incumbent: incumbent.distribution };
    countIn(bins.candidate, candidate.distribution, candidate.score);
    countIn(bins.incumbent, incumbent.distribution, incumbent.score);
    countIn(bins.between, incumbent.distribution, candidate.score);
  }

  #drift(): TallySummary['drift'] {
    const { bins } = this.state;
    const { candidate, incumbent } = this.#distributions;
    const seen = bins.incumbent.reduce((sum, count) => sum + count, 0);
    const now =
      incumbent === undefined || seen === 0
        ? undefined
        : { ...incumbent, shares: bins.incumbent.map((count) => count / seen) };
    return {
      candidate: driftIndex(bins.candidate, candidate),
      incumbent: driftIndex(bins.incumbent, incumbent),
      between: driftIndex(bins.between, now),
    };
  }
}

function emptyState(nowMs: EpochMs): TallyState {
  const noFailures = () => ({ crash: 0, deadline: 0, invalid: 0, 'not-ready': 0, skipped: 0 });
  return {
    sinceMs: nowMs,
    table: { bothNormal: 0, bothAbnormal: 0, onlyCandidate: 0, onlyIncumbent: 0 },
    scores: { candidate: 0, incumbent: 0, candidateSquares: 0, incumbentSquares: 0, products: 0 },
    latencies: { candidate: emptyLatencyCounts(), incumbent: emptyLatencyCounts() },
    failures: { candidate: noFailures(), incumbent: noFailures() },
    bins: { candidate: [], incumbent: [], between: [] },
    disagreements: [],
  };
}

function agreementCell(candidate: SideJudgement, incumbent: SideJudgement): keyof AgreementTable {
  if (candidate.verdict === incumbent.verdict) return candidate.verdict === 'normal' ? 'bothNormal' : 'bothAbnormal';
  return candidate.verdict === 'abnormal' ? 'onlyCandidate' : 'onlyIncumbent';
}

function shown({ score, threshold, verdict }: SideJudgement): Disagreement[RolloutSide] {
  return { score, threshold, verdict };
}

/** Counts a score in its bin. A distribution with another number of bins resets the counts. */
function countIn(bins: number[], distribution: Distribution | undefined, score: number): void {
  if (distribution === undefined || distribution.shares.length < 2) return;
  if (bins.length !== distribution.shares.length) bins.splice(0, bins.length, ...distribution.shares.map(() => 0));
  const bin = distributionBin(distribution, score);
  bins[bin] = (bins[bin] ?? 0) + 1;
}

function driftIndex(bins: readonly number[], reference: Distribution | undefined): number | undefined {
  if (reference === undefined || bins.length !== reference.shares.length) return undefined;
  if (bins.reduce((sum, count) => sum + count, 0) < DRIFT_WINDOWS_MIN) return undefined;
  return populationStabilityIndex(Float64Array.from(bins), reference);
}

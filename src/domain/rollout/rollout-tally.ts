import type { Distribution } from '../model/drift.ts';
import { distributionBin, populationStabilityIndex } from '../model/drift.ts';
import type { EpochMs } from '../epoch-ms.ts';
import { countLatency, latencyQuantile, noLatencies } from '../latency-counts.ts';
import type { RolloutSide } from './rollout-plan.ts';

/** Latest windows that the two judged differently, kept for people to look at. */
const DISAGREEMENTS_MAX = 20;
/** Fewest windows that say something about a distribution. */
const DRIFT_WINDOWS_MIN = 200;

/**
 * Why a side gave no judgement. 'invalid': NaN, infinity, or a failed run; 'not-ready': loading, or its process is
 * being replaced; 'skipped': a newer window was due before this one could run.
 */
export const rolloutFailures = ['crash', 'deadline', 'invalid', 'not-ready', 'skipped'] as const;
export type RolloutFailure = (typeof rolloutFailures)[number];

/** What one side said of a window. */
export type SideJudgement = {
  readonly score: number;
  readonly threshold: number;
  readonly verdict: 'normal' | 'abnormal';
  /** From the window falling due. */
  readonly latencyMs: number;
  /** How its scores were spread in training. */
  readonly distribution: Distribution | undefined;
};

/** A window that the two judged differently. */
export type Disagreement = { readonly timestampMs: EpochMs } & {
  readonly [Side in RolloutSide]: Pick<SideJudgement, 'score' | 'threshold' | 'verdict'>;
};

/** Windows by what the two said of them. */
export type AgreementTable = { bothNormal: number; bothAbnormal: number; onlyCandidate: number; onlyIncumbent: number };

/** Everything that was counted, as plain data of bounded size, so that it can be kept across a restart. */
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
  /** Windows by the bin of their score; `between` has the candidate's scores in the incumbent's bins. */
  bins: Record<RolloutSide | 'between', number[]>;
  disagreements: Disagreement[];
};

/** What people and scripts are shown of a tally. */
export type TallySummary = {
  readonly sinceMs: EpochMs;
  /** Judged by both. */
  readonly windows: number;
  readonly table: Readonly<AgreementTable>;
  /** Share of windows that both judged alike; undefined before the first. */
  readonly agreement: number | undefined;
  /** Share of abnormal windows of each. */
  readonly alarmRate: Readonly<Record<RolloutSide, number | undefined>>;
  /** Pearson's; undefined where one of them never moved. */
  readonly scoreCorrelation: number | undefined;
  /** Of the scores, candidate minus incumbent. */
  readonly scoreDifference: number | undefined;
  readonly latencyMs: Readonly<
    Record<RolloutSide, { readonly p50: number | undefined; readonly p99: number | undefined }>
  >;
  readonly failures: Readonly<Record<RolloutSide, Readonly<Record<RolloutFailure, number>>>>;
  /** Population stability index of each side's scores against its training, and of one against the other. */
  readonly drift: Readonly<Record<RolloutSide | 'between', number | undefined>>;
  /** Oldest first. */
  readonly disagreements: readonly Disagreement[];
};

/** Adds up what two versions said of the same windows. Memory is bounded whatever their number. */
export class RolloutTally {
  readonly state: TallyState;
  #distributions: Readonly<Record<RolloutSide, Distribution | undefined>> = {
    candidate: undefined,
    incumbent: undefined,
  };

  /** @param state Of before a restart, where there is one. */
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

  /** A window that both judged. */
  compare(timestampMs: EpochMs, candidate: SideJudgement, incumbent: SideJudgement): keyof AgreementTable {
    const cell = agreementCell(candidate, incumbent);
    this.state.table[cell] += 1;
    this.#addScores(candidate.score, incumbent.score);
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
    };
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
    latencies: { candidate: noLatencies(), incumbent: noLatencies() },
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

/** Counts a score in its bin; a distribution of another number of bins begins the count anew. */
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

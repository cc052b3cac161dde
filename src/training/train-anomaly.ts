import type { ModelDraft, TagLabel } from './model-draft.ts';
import { anomalyDraft, windowAt } from './model-draft.ts';
import type { TrainingRows } from './training-rows.ts';
import { countRows, sliceRows } from './training-rows.ts';
import { windowRows } from './wpca.ts';
import type { LimitPolicy, WpcaDetector } from './wpca-detector.ts';
import { DETECTOR_ROWS_MIN, detectorScores, trainWpca } from './wpca-detector.ts';

/** Share of the rows, the last ones, that a trial fit does not see. */
const HELD_OUT_SHARE = 0.25;
/** The alarm of the trial comes on above 1 and goes off again here, as it will in the agent. */
const NORMAL_AGAIN = 0.8;

export type AnomalyTraining = {
  /** Runs without a gap, in order of time, normal running only. */
  readonly segments: readonly TrainingRows[];
  readonly tags: readonly TagLabel[];
  readonly stepMs: number | undefined;
  readonly description: string;
  /** Where the rows come from, for the manifest. */
  readonly provenance: Readonly<Record<string, unknown>>;
  readonly limits?: LimitPolicy;
};

export type TrainedAnomaly = {
  readonly draft: ModelDraft;
  readonly detector: WpcaDetector;
  /** False alarms on the last quarter by a fit on the rows before; undefined where the rows are too few for it. */
  readonly trial: AnomalyTrial | undefined;
  readonly warnings: readonly string[];
};

type AnomalyTrial = {
  readonly heldOutRows: number;
  /** Share of the held-out rows in alarm, 0–1; 0.05 and more is warned of. */
  readonly falseAlarmRate: number;
  readonly scoreMax: number;
};

/** Above this, an operator would soon stop looking. */
const FALSE_ALARM_RATE_MAX = 0.05;

/**
 * Fits the default anomaly model on all rows, and says how good it is by a trial on the last quarter of them.
 *
 * @throws {OperatingError} As `trainWpca`.
 */
export function trainAnomaly(training: AnomalyTraining): TrainedAnomaly {
  const { segments, limits } = training;
  const detector = trainWpca(segments, limits);
  const trial = tryOut(segments, limits);
  const draft = anomalyDraft(detector, {
    description: training.description,
    tags: training.tags,
    stepMs: training.stepMs,
    rows: segments,
    golden: goldenWindows(detector, segments),
    training: { ...training.provenance, rows: countRows(segments) },
    metrics:
      trial === undefined
        ? {}
        : {
            held_out_rows: trial.heldOutRows,
            held_out_false_alarm_rate: trial.falseAlarmRate,
            held_out_score_max: trial.scoreMax,
          },
  });
  return { draft, detector, trial, warnings: [...detector.warnings, ...trialWarnings(trial)] };
}

function tryOut(segments: readonly TrainingRows[], limits: LimitPolicy | undefined): AnomalyTrial | undefined {
  const split = Math.floor(countRows(segments) * (1 - HELD_OUT_SHARE));
  const { before, after } = splitAt(segments, split);
  if (countRows(before) < DETECTOR_ROWS_MIN) return undefined;
  const detector = trainWpca(before, limits);
  const warmUp = windowRows(detector.model) - 1;
  const scores = after.flatMap((rows) => Array.from(detectorScores(detector, rows).subarray(warmUp)));
  if (scores.length === 0) return undefined;
  return {
    heldOutRows: scores.length,
    falseAlarmRate: alarmedRows(scores) / scores.length,
    scoreMax: scores.reduce((highest, score) => Math.max(highest, score)),
  };
}

/** Rows before and after the given position in all rows. */
function splitAt(segments: readonly TrainingRows[], position: number) {
  const before: TrainingRows[] = [];
  const after: TrainingRows[] = [];
  let first = 0;
  for (const segment of segments) {
    const cut = Math.min(Math.max(position - first, 0), segment.count);
    if (cut > 0) before.push(sliceRows(segment, 0, cut));
    if (cut < segment.count) after.push(sliceRows(segment, cut, segment.count));
    first += segment.count;
  }
  return { before, after };
}

function alarmedRows(scores: readonly number[]): number {
  let alarmed = false;
  let rows = 0;
  for (const score of scores) {
    alarmed = alarmed ? score > NORMAL_AGAIN : score > 1;
    if (alarmed) rows += 1;
  }
  return rows;
}

/** The last window of the longest run, and the one with the highest score in it. */
function goldenWindows(detector: WpcaDetector, segments: readonly TrainingRows[]): readonly TrainingRows[] {
  const longest = segments.reduce((best, segment) => (segment.count > best.count ? segment : best));
  const steps = windowRows(detector.model);
  const scores = detectorScores(detector, longest).subarray(steps - 1);
  const highest = scores.reduce((best, score, row) => (score > (scores[best] ?? 0) ? row : best), 0);
  return [...new Set([highest + steps - 1, longest.count - 1])].map((row) => windowAt(longest, row, steps));
}

function trialWarnings(trial: AnomalyTrial | undefined): readonly string[] {
  if (trial === undefined) return ['The rows are too few to try the model on rows that it has not seen.'];
  if (trial.falseAlarmRate < FALSE_ALARM_RATE_MAX) return [];
  const percent = (trial.falseAlarmRate * 100).toFixed(0);
  return [`${percent} % of the last quarter of the rows would be in alarm: they differ from the rows before.`];
}

import { columnOf, moments, quantile } from '../core/statistics.ts';
import type { FeatureRows } from '../core/window-features.ts';

/** Number of ramps of each feature, in addition to its standardised value. */
const RAMPS = 6;
/** Standardised values are clamped at this many standard deviations, so that a faulty sensor has a bounded effect. */
const DEVIATIONS_MAX = 4;
/** A feature with a smaller width is constant, and its inputs are 0. */
const WIDTH_MIN = 1e-12;

/**
 * Inputs of the network for each feature: clamp((x − offset) · scale, low, high), `perFeature` of them.
 *
 * One is the standardised value. The others are ramps from 0 to 1 between neighbouring quantiles, which give a small
 * network its resolution at the data, even for a skewed feature.
 *
 * @see Gorishniy, Rubachev, Babenko, On Embeddings for Numerical Features in Tabular Deep Learning, NeurIPS 2022,
 *   section 3.2, for the ramps.
 */
export type MlpInputs = {
  readonly features: number;
  readonly perFeature: number;
  /** Shape [features, perFeature], as is `scales`. */
  readonly offsets: Float64Array;
  readonly scales: Float64Array;
  /** Shape [perFeature]. */
  readonly lows: Float64Array;
  readonly highs: Float64Array;
};

export function fitInputs({ features, values }: FeatureRows): MlpInputs {
  const perFeature = RAMPS + 1;
  const offsets = new Float64Array(features * perFeature);
  const scales = new Float64Array(features * perFeature);
  for (let feature = 0; feature < features; feature += 1) {
    const column = columnOf(values, features, feature);
    const { mean, deviation } = moments(column);
    const at = feature * perFeature;
    offsets[at] = mean;
    scales[at] = deviation < WIDTH_MIN ? 0 : 1 / deviation;
    for (let ramp = 0; ramp < RAMPS; ramp += 1) {
      const from = quantile(column, ramp / RAMPS);
      const width = quantile(column, (ramp + 1) / RAMPS) - from;
      offsets[at + 1 + ramp] = from;
      scales[at + 1 + ramp] = width < WIDTH_MIN ? 0 : 1 / width;
    }
  }
  const lows = new Float64Array(perFeature);
  lows[0] = -DEVIATIONS_MAX;
  const highs = new Float64Array(perFeature).fill(1);
  highs[0] = DEVIATIONS_MAX;
  return { features, perFeature, offsets, scales, lows, highs };
}

/** Shape [rows, features · perFeature], row-major. */
export function encodeInputs(inputs: MlpInputs, { count, values }: FeatureRows): Float64Array {
  const { features, perFeature, offsets, scales, lows, highs } = inputs;
  const width = features * perFeature;
  return Float64Array.from({ length: count * width }, (_, index) => {
    const at = index % width;
    const value = values[Math.floor(index / width) * features + Math.floor(at / perFeature)] ?? 0;
    const input = (value - (offsets[at] ?? 0)) * (scales[at] ?? 0);
    return Math.min(Math.max(input, lows[at % perFeature] ?? 0), highs[at % perFeature] ?? 0);
  });
}

import type * as z from 'zod';
import { type Rollup, type RollupResolution, rollupSpansMs, type TagSeries } from '../contracts/sample-history.ts';
import { snakeJson } from '../domain/record/snake-json.ts';
import { qualityOf } from '../domain/sample/quality.ts';
import type { rollupJson } from './api-schemas.ts';

/** Minutes or hours of one request: 34 days of minutes. */
const ROLLUP_SPANS_MAX = 50_000;

export const resolutions = ['samples', '1m', '1h'] as const satisfies readonly ('samples' | RollupResolution)[];
type Resolution = (typeof resolutions)[number];

/** Returns why a range is too long for its resolution; undefined if it is not. */
export function rangeProblem(resolution: Resolution, rangeMs: number): string | undefined {
  if (resolution === 'samples' || rangeMs / rollupSpansMs[resolution] <= ROLLUP_SPANS_MAX) return undefined;
  return `The range has more than ${ROLLUP_SPANS_MAX} spans of ${resolution}. Request a shorter range${resolution === '1m' ? ' or resolution=1h' : ''}.`;
}

/** Returns the samples of a tag as JSON. */
export function seriesToJson({ tag, timesMs, values }: TagSeries) {
  return snakeJson({ tag, timestampsMs: timesMs, values });
}

/** Returns the minutes or hours of a tag as JSON. */
export function rollupToJson(rollup: Rollup): z.infer<typeof rollupJson> {
  return {
    tag: rollup.tag,
    timestamps_ms: [...rollup.timesMs],
    min: numbersOrNull(rollup.minima),
    max: numbersOrNull(rollup.maxima),
    mean: numbersOrNull(rollup.means),
    count: [...rollup.counts],
    quality: Array.from(rollup.qualities, qualityOf),
  };
}

function numbersOrNull(column: Float64Array): (number | null)[] {
  return Array.from(column, (value) => (Number.isFinite(value) ? value : null));
}

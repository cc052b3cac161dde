import { trainingFailure } from './training-errors.ts';
import { indexOfLargest } from './statistics.ts';
import { invariant } from '../../platform/errors.ts';

/**
 * Values of some tags on an even grid, one row a step, without a gap. Shape [count, tags], row-major, in
 * engineering units. A history with gaps is several of these: no window ever crosses from one to the next.
 */
export type TrainingRows = { readonly count: number; readonly tags: number; readonly values: Float64Array };

/** Maximum number of values (rows × tags) of one fit: 64 MB, and about a minute of one core. */
const TRAINING_VALUES_MAX = 8_000_000;

/** Maximum number of tags of one model; a lag stack of one row can still be fitted. */
const TRAINING_TAGS_MAX = 500;

/** Rows from arrays of equal length; for recorded data and tests. */
export function trainingRows(rows: readonly (readonly number[])[]): TrainingRows {
  const tags = rows[0]?.length ?? 0;
  invariant(
    rows.every((row) => row.length === tags),
    'Every training row has a value for every tag',
  );
  return { count: rows.length, tags, values: Float64Array.from(rows.flat()) };
}

/** Rows [from, to) of the same memory. */
export function sliceRows(rows: TrainingRows, from: number, to: number): TrainingRows {
  return { count: to - from, tags: rows.tags, values: rows.values.subarray(from * rows.tags, to * rows.tags) };
}

export function countRows(segments: readonly TrainingRows[]): number {
  return segments.reduce((sum, segment) => sum + segment.count, 0);
}

/** Returns the run with the most rows, the first of equals; undefined if there is none. */
export function longestRun(segments: readonly TrainingRows[]): TrainingRows | undefined {
  return segments[indexOfLargest(segments.map(({ count }) => count))];
}

/**
 * Checks the training rows.
 *
 * @throws {OperatingError} 'training-too-few-rows' | 'training-too-many-rows' | 'training-too-many-tags' |
 *   'training-value-invalid' (reject).
 */
export function checkTrainingRows(segments: readonly TrainingRows[], rowsMin: number): void {
  const count = countRows(segments);
  const tags = segments[0]?.tags ?? 0;
  if (count < rowsMin)
    throw trainingFailure(
      'training-too-few-rows',
      `${count} training rows; a model of ${tags} tags needs ${rowsMin} or more`,
    );
  if (tags > TRAINING_TAGS_MAX)
    throw trainingFailure('training-too-many-tags', `${tags} tags; a model has ${TRAINING_TAGS_MAX} or fewer`);
  if (count * tags > TRAINING_VALUES_MAX)
    throw trainingFailure(
      'training-too-many-rows',
      `${count} training rows of ${tags} tags; expected at most ${Math.floor(TRAINING_VALUES_MAX / tags)} rows`,
    );
  let first = 0;
  for (const segment of segments) {
    const index = segment.values.findIndex((value) => !Number.isFinite(value));
    if (index >= 0)
      throw trainingFailure(
        'training-value-invalid',
        `Training row ${first + Math.floor(index / tags)} has no finite value for tag ${(index % tags) + 1} of ${tags}`,
      );
    first += segment.count;
  }
}

import { type MachineRegimes, moveFromNearest, regimeAt } from '../../domain/model/machine-regimes.ts';
import { SeededDraws } from '../../domain/seeded-draws.ts';
import { columnOf, concatenated, moments } from '../core/statistics.ts';
import { countRows, type TrainingRows } from '../core/training-rows.ts';

/** Rows that the search uses. */
const ROWS_MAX = 4000;
const REGIMES_MAX = 8;
const STEPS_MAX = 30;
/** Fewest rows of a regime. */
const REGIME_ROWS_MIN = 200;
/** Fewest times that the machine enters a regime: what happens once is not known to return. */
const VISITS_MIN = 2;
/**
 * Least distance of two centres, in units of the sum of the deviations along the line between them. Two halves of one even
 * spread have 1.7.
 */
const SEPARATION_MIN = 5;

/**
 * Finds regimes: groups of rows that lie far apart, such as recipes, each of which the machine enters more than once.
 *
 * @returns Undefined if there are none.
 */
export function regimesOf(segments: readonly TrainingRows[]): MachineRegimes | undefined {
  const rows = thinned(segments);
  if (rows === undefined) return undefined;
  const scales = deviationsOf(rows);
  let found: MachineRegimes | undefined;
  for (let count = 2; count <= REGIMES_MAX; count += 1) {
    const regimes = clustered(rows, scales, count);
    if (regimes !== undefined && areRegimes(regimes, rows, segments)) found = regimes;
  }
  return found;
}

function thinned(segments: readonly TrainingRows[]): TrainingRows | undefined {
  const tags = segments[0]?.tags ?? 0;
  const stride = Math.max(1, Math.ceil(countRows(segments) / ROWS_MAX));
  const values = concatenated(
    segments.map((run) => run.values.filter((_, cell) => Math.floor(cell / tags) % stride === 0)),
  );
  const count = values.length / tags;
  return count < 2 * REGIMES_MAX ? undefined : { count, tags, values };
}

function deviationsOf({ values, tags }: TrainingRows): readonly number[] {
  return Array.from({ length: tags }, (_, tag) => moments(columnOf(values, tags, tag)).deviation || 1);
}

/** K-means from centres that are far apart; then the unit becomes the deviation within the groups, once. */
function clustered(rows: TrainingRows, scales: readonly number[], count: number): MachineRegimes | undefined {
  const first = settled(rows, { scales, centres: farApart(rows, scales, count) });
  if (first === undefined) return undefined;
  const regimes = settled(rows, { scales: within(rows, first), centres: first.centres });
  return regimes === undefined ? undefined : { ...regimes, reference: meansOf(rows) };
}

type Groups = Pick<MachineRegimes, 'scales' | 'centres'>;

function rowAt({ values, tags }: TrainingRows, row: number): readonly number[] {
  return [...values.subarray(row * tags, (row + 1) * tags)];
}

function meansOf({ values, tags }: TrainingRows): readonly number[] {
  return Array.from({ length: tags }, (_, tag) => moments(columnOf(values, tags, tag)).mean);
}

/** The first centre is a random row, each further one the row that is the farthest from all before. */
function farApart(rows: TrainingRows, scales: readonly number[], count: number): readonly (readonly number[])[] {
  const centres = [rowAt(rows, Math.floor(new SeededDraws(1).uniform() * rows.count))];
  while (centres.length < count) {
    let farthest = 0;
    let most = -1;
    for (let row = 0; row < rows.count; row += 1) {
      const nearest = centres[regimeAt({ scales, centres }, rows.values, row)] ?? [];
      const distance = scales.reduce(
        (sum, scale, tag) => sum + (((rows.values[row * rows.tags + tag] ?? 0) - (nearest[tag] ?? 0)) / scale) ** 2,
        0,
      );
      if (distance > most) [farthest, most] = [row, distance];
    }
    centres.push(rowAt(rows, farthest));
  }
  return centres;
}

/** @returns Undefined if a group becomes empty. */
function settled(rows: TrainingRows, { scales, centres: start }: Groups): Groups | undefined {
  let centres = start;
  let before = '';
  for (let step = 0; step < STEPS_MAX; step += 1) {
    const groups = { scales, centres };
    const members = Int32Array.from({ length: rows.count }, (_, row) => regimeAt(groups, rows.values, row));
    const key = members.join();
    if (key === before) break;
    before = key;
    centres = centres.map((_, group) => centreOf(rows, members, group));
    if (centres.some((centre) => centre.some(Number.isNaN))) return undefined;
  }
  return { scales, centres };
}

function centreOf({ values, tags }: TrainingRows, members: Int32Array, group: number): readonly number[] {
  const sums = new Float64Array(tags);
  let count = 0;
  for (const [row, member] of members.entries()) {
    if (member !== group) continue;
    count += 1;
    for (let tag = 0; tag < tags; tag += 1) sums[tag] = (sums[tag] ?? 0) + (values[row * tags + tag] ?? 0);
  }
  return Array.from(sums, (sum) => sum / count);
}

function within(rows: TrainingRows, groups: Groups): readonly number[] {
  const { values, tags } = rows;
  const squares = new Float64Array(tags);
  for (let row = 0; row < rows.count; row += 1) {
    const centre = groups.centres[regimeAt(groups, values, row)] ?? [];
    for (let tag = 0; tag < tags; tag += 1)
      squares[tag] = (squares[tag] ?? 0) + ((values[row * tags + tag] ?? 0) - (centre[tag] ?? 0)) ** 2;
  }
  return Array.from(squares, (sum) => Math.sqrt(sum / rows.count) || 1);
}

function areRegimes(regimes: MachineRegimes, rows: TrainingRows, segments: readonly TrainingRows[]): boolean {
  const { centres } = regimes;
  for (const [a, one] of centres.entries())
    for (const other of centres.slice(a + 1)) if (separation(rows, regimes, one, other) < SEPARATION_MIN) return false;
  const seen = centres.map(() => ({ rows: 0, visits: 0 }));
  for (const { values, count } of segments) {
    let last: number | undefined;
    for (let row = 0; row < count; row += 1) {
      const regime = regimeAt(regimes, values, row);
      const own = seen[regime];
      if (own === undefined) continue;
      own.rows += 1;
      if (regime !== last) own.visits += 1;
      last = regime;
    }
  }
  return seen.every((regime) => regime.rows >= REGIME_ROWS_MIN && regime.visits >= VISITS_MIN);
}

/** Distance of two centres over the sum of the deviations of their rows along the line between them. */
function separation(
  rows: TrainingRows,
  regimes: MachineRegimes,
  one: readonly number[],
  other: readonly number[],
): number {
  const { scales, centres } = regimes;
  const along = scales.map((scale, tag) => ((other[tag] ?? 0) - (one[tag] ?? 0)) / scale);
  const length = Math.hypot(...along);
  const places: { readonly one: number[]; readonly other: number[] } = { one: [], other: [] };
  for (let row = 0; row < rows.count; row += 1) {
    const nearest = centres[regimeAt(regimes, rows.values, row)];
    if (nearest !== one && nearest !== other) continue;
    const place = scales.reduce(
      (sum, scale, tag) => sum + (((rows.values[row * rows.tags + tag] ?? 0) / scale) * (along[tag] ?? 0)) / length,
      0,
    );
    places[nearest === one ? 'one' : 'other'].push(place);
  }
  const spread = moments(places.one).deviation + moments(places.other).deviation;
  return length / Math.max(spread, 1e-9);
}

/** Returns copies of the runs in which each row is moved from the nearest centre to the reference. */
export function movedRuns(regimes: MachineRegimes, segments: readonly TrainingRows[]): readonly TrainingRows[] {
  return segments.map((segment) => {
    const values = segment.values.slice();
    moveFromNearest(regimes, values);
    return { ...segment, values };
  });
}

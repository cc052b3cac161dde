/** Parameters for the estimation of missing tags, from the training rows. */
export type Imputation = {
  /** Mean and standard deviation of each tag, in its unit. */
  readonly means: readonly number[];
  readonly deviations: readonly number[];
  /** Rows of the lag stacks of `precision`. */
  readonly lags: number;
  /**
   * Inverse of the covariance matrix of lag-stacked standardised rows, feature = lag · tags + tag: its upper triangle, row after
   * row, as little-endian float32 in base64.
   */
  readonly precision: string;
  /** Graph output float [batch, measures, tags]: the part of each tag in each measure, in units of its limit. */
  readonly parts: string;
  /** How the parts of each measure become its value: their sum, or the largest. */
  readonly measures: readonly ('sum' | 'largest')[];
};

/** Multiplications for one window, about 8 ms: it is estimated on the thread that reads the sources. */
const OPERATIONS_MAX = 3.5e6;

/** Estimation of one set of missing tags. */
export type Estimate = {
  /** Fills the missing columns of a window, shape [steps, tags], row-major. */
  readonly fill: (values: Float32Array) => void;
  /**
   * Factor of the limit, above 1: 1 + the conditional variance of the missing tags, in units of their variance, for each
   * tag that is present.
   */
  readonly widening: number;
};

/** Features of a matrix in base64: a number of the upper triangle by its row and column. */
type Precision = (row: number, column: number) => number;

/**
 * Returns how missing tags are estimated: by the values that are the most likely ones, given all other values of the window.
 *
 * The lag stacks of a window have the precision matrix P. Their likelihood is highest for the values x of the missing tags with
 * N·x = −Σ P_mo·z_o: N is the sum of P_mm over all stacks, a band matrix in the order of time. Estimates from single rows would
 * have steps that the tag never had.
 *
 * @param missing Columns of the missing tags, ascending.
 * @param steps Rows of the window.
 * @returns Undefined if no tag is left, if the parameters have no solution, or if a window would take more than about 8 ms:
 *   more than 50 of 200 tags.
 */
export function estimateOf(imputation: Imputation, missing: readonly number[], steps: number): Estimate | undefined {
  const { means, deviations, lags } = imputation;
  const tags = means.length;
  const present = Array.from(means.keys()).filter((tag) => !missing.includes(tag));
  const at = precisionOf(imputation, lags * tags);
  if (present.length === 0 || at === undefined || steps < lags) return undefined;
  const unknowns = steps * missing.length;
  if (unknowns * ((2 * lags - 1) * present.length + 2 * lags * missing.length) > OPERATIONS_MAX) return undefined;
  const features = (columns: readonly number[]) =>
    Array.from({ length: lags }, (_, lag) => columns.map((column) => lag * tags + column)).flat();
  const own = features(missing);
  const others = features(present);
  const conditional = inverse(own.map((a) => own.map((b) => at(a, b))));
  const factor = choleskyOf(bandMatrix(own, at, { steps, lags, columns: missing.length }));
  if (conditional === undefined || factor === undefined) return undefined;
  const shape = { steps, lags, columns: missing.length };
  const side = new RightSide(
    own.map((a) => Float64Array.from(others, (b) => at(a, b))),
    present.length,
    shape,
  );
  const variance = missing.reduce((sum, _, index) => sum + Math.min(conditional[index]?.[index] ?? 1, 1), 0);
  const standard = (value: number, tag: number) => (value - (means[tag] ?? 0)) / (deviations[tag] ?? 1);
  return {
    widening: 1 + variance / present.length,
    fill: (values) => {
      const known = new Float64Array(steps * present.length);
      for (let row = 0, cell = 0; row < steps; row += 1)
        for (const tag of present) known[cell++] = standard(values[row * tags + tag] ?? 0, tag);
      const found = solve(factor, side.of(known));
      for (const [index, column] of missing.entries())
        for (let row = 0; row < steps; row += 1)
          values[row * tags + column] =
            (means[column] ?? 0) + (deviations[column] ?? 1) * (found[row * missing.length + index] ?? 0);
    },
  };
}

type Shape = { readonly steps: number; readonly lags: number; readonly columns: number };

/** Lower half of a symmetric band matrix: `width` numbers a row, the last one on the diagonal. */
type Band = { readonly size: number; readonly width: number; readonly values: Float64Array };

/** Returns the sum of P_mm over the stacks of a window; unknown = row · columns + column. */
function bandMatrix(own: readonly number[], at: Precision, { steps, lags, columns }: Shape): Band {
  const size = steps * columns;
  const width = lags * columns;
  const values = new Float64Array(size * width);
  const block = Float64Array.from(own.flatMap((a) => own.map((b) => at(a, b))));
  for (let newest = lags - 1; newest < steps; newest += 1)
    for (let a = 0; a < width; a += 1)
      for (let b = 0; b < width; b += 1) {
        const row = unknownOf(newest, a, columns);
        const column = unknownOf(newest, b, columns);
        if (column > row) continue;
        const cell = row * width + width - 1 - (row - column);
        values[cell] = (values[cell] ?? 0) + (block[a * width + b] ?? 0);
      }
  return { size, width, values };
}

/** Number of the unknown of a feature, which is lag · columns + column, in the stack of a row. */
function unknownOf(newest: number, feature: number, columns: number): number {
  return (newest - Math.floor(feature / columns)) * columns + (feature % columns);
}

/**
 * The right side −Σ P_mo·z_o for the values of the present tags. In all rows but the first and last ones, the sum over the
 * stacks is one weight for each distance in time, which takes a part of the time.
 */
class RightSide {
  readonly #weights: readonly Float64Array[];
  readonly #present: number;
  readonly #shape: Shape;
  /** Sums of the weights of the same distance, from 1 − lags to lags − 1: shape [distances, columns, present]. */
  readonly #byDistance: Float64Array;

  /** @param weights P_mo: for each feature of the missing tags, one weight for each of the others. */
  constructor(weights: readonly Float64Array[], present: number, shape: Shape) {
    this.#weights = weights;
    this.#present = present;
    this.#shape = shape;
    const { lags, columns } = shape;
    const sums = new Float64Array((2 * lags - 1) * columns * present);
    for (const [feature, row] of weights.entries()) {
      const own = Math.floor(feature / columns);
      for (const [index, weight] of row.entries()) {
        const distance = own - Math.floor(index / present) + lags - 1;
        const cell = (distance * columns + (feature % columns)) * present + (index % present);
        sums[cell] = (sums[cell] ?? 0) + weight;
      }
    }
    this.#byDistance = sums;
  }

  /** @param known Standardised values of the tags that are present, [steps, present]. */
  of(known: Float64Array): Float64Array {
    const { steps, lags, columns } = this.#shape;
    const side = new Float64Array(steps * columns);
    for (let row = 0; row < steps; row += 1)
      if (row >= lags - 1 && row <= steps - lags) this.#addByDistance(side, known, row);
      else this.#addByStack(side, known, row);
    return side;
  }

  #addByDistance(side: Float64Array, known: Float64Array, row: number): void {
    const { lags, columns } = this.#shape;
    const present = this.#present;
    for (let distance = 0; distance < 2 * lags - 1; distance += 1) {
      const start = (row + distance - lags + 1) * present;
      for (let column = 0; column < columns; column += 1) {
        const cell = (distance * columns + column) * present;
        side[row * columns + column] =
          (side[row * columns + column] ?? 0) - dot(this.#byDistance, cell, known, start, present);
      }
    }
  }

  /** Adds the stacks within the window that have the row. */
  #addByStack(side: Float64Array, known: Float64Array, row: number): void {
    const { steps, lags, columns } = this.#shape;
    const present = this.#present;
    for (let newest = Math.max(lags - 1, row); newest < Math.min(steps, row + lags); newest += 1)
      for (let column = 0; column < columns; column += 1) {
        const weights = this.#weights[(newest - row) * columns + column] ?? new Float64Array();
        let sum = 0;
        for (let lag = 0; lag < lags; lag += 1)
          sum += dot(weights, lag * present, known, (newest - lag) * present, present);
        side[row * columns + column] = (side[row * columns + column] ?? 0) - sum;
      }
  }
}

function dot(one: Float64Array, from: number, other: Float64Array, start: number, length: number): number {
  let sum = 0;
  for (let index = 0; index < length; index += 1) sum += (one[from + index] ?? 0) * (other[start + index] ?? 0);
  return sum;
}

/** Returns the lower Cholesky factor, in the same band; undefined if the matrix is not positive definite. */
function choleskyOf({ size, width, values }: Band): Band | undefined {
  const factor = values.slice();
  const cell = (row: number, column: number) => row * width + width - 1 - (row - column);
  for (let row = 0; row < size; row += 1) {
    for (let column = Math.max(0, row - width + 1); column <= row; column += 1) {
      let sum = factor[cell(row, column)] ?? 0;
      for (let k = Math.max(0, row - width + 1); k < column; k += 1)
        sum -= (factor[cell(row, k)] ?? 0) * (factor[cell(column, k)] ?? 0);
      if (row === column && !(sum > 0)) return undefined;
      factor[cell(row, column)] = row === column ? Math.sqrt(sum) : sum / (factor[cell(column, column)] ?? 1);
    }
  }
  return { size, width, values: factor };
}

/** Solves L·Lᵀ·x = side. */
function solve({ size, width, values }: Band, side: Float64Array): Float64Array {
  const cell = (row: number, column: number) => row * width + width - 1 - (row - column);
  const found = side.slice();
  for (let row = 0; row < size; row += 1) {
    let sum = found[row] ?? 0;
    for (let k = Math.max(0, row - width + 1); k < row; k += 1) sum -= (values[cell(row, k)] ?? 0) * (found[k] ?? 0);
    found[row] = sum / (values[cell(row, row)] ?? 1);
  }
  for (let row = size - 1; row >= 0; row -= 1) {
    let sum = found[row] ?? 0;
    for (let k = row + 1; k < Math.min(size, row + width); k += 1) sum -= (values[cell(k, row)] ?? 0) * (found[k] ?? 0);
    found[row] = sum / (values[cell(row, row)] ?? 1);
  }
  return found;
}

/**
 * Returns the score of a window with estimated tags, and the part of each tag in the measure that decides it. An estimated tag
 * decides nothing and has no part.
 *
 * @param parts Shape [measures, tags], row-major.
 */
export function estimatedScore(
  { measures }: Pick<Imputation, 'measures'>,
  parts: readonly number[],
  missing: readonly number[],
): { readonly score: number; readonly parts: readonly number[] } {
  const tags = parts.length / measures.length;
  let worst: { readonly score: number; readonly parts: readonly number[] } = { score: -Infinity, parts: [] };
  for (const [index, measure] of measures.entries()) {
    const own = parts.slice(index * tags, (index + 1) * tags);
    const ofPresent = own.map((part, tag) => (missing.includes(tag) ? 0 : part));
    const score = measure === 'sum' ? own.reduce((sum, part) => sum + part, 0) : Math.max(...ofPresent);
    if (score > worst.score) worst = { score, parts: ofPresent };
  }
  return worst;
}

/** Number of float32 in the upper triangle of a matrix. */
export function triangleCells(size: number): number {
  return (size * (size + 1)) / 2;
}

/** Decoded triangles: a wide watch has 700 kB of them, and they are the same for each set of missing tags. */
const triangles = new WeakMap<Imputation, DataView>();

/** @returns Undefined if the text does not have the numbers of a matrix of this size. */
function precisionOf(imputation: Imputation, size: number): Precision | undefined {
  let view = triangles.get(imputation);
  if (view === undefined) {
    const text = atob(imputation.precision);
    const bytes = new Uint8Array(text.length);
    for (let index = 0; index < text.length; index += 1) bytes[index] = text.charCodeAt(index);
    triangles.set(imputation, (view = new DataView(bytes.buffer)));
  }
  const cells = view;
  if (cells.byteLength !== 4 * triangleCells(size)) return undefined;
  return (a, b) => {
    const [row, column] = a < b ? [a, b] : [b, a];
    return cells.getFloat32(4 * (row * size - (row * (row - 1)) / 2 + column - row), true);
  };
}

/** Returns the inverse of a positive definite matrix by Gauss-Jordan elimination; undefined if it has none. */
function inverse(matrix: readonly (readonly number[])[]): readonly (readonly number[])[] | undefined {
  const size = matrix.length;
  const work = matrix.map((row, index) => [...row, ...row.map((_, column) => (column === index ? 1 : 0))]);
  for (let pivot = 0; pivot < size; pivot += 1) {
    const pivotRow = work[pivot] ?? [];
    const head = pivotRow[pivot] ?? 0;
    if (!(head > 0)) return undefined;
    for (const [column, value] of pivotRow.entries()) pivotRow[column] = value / head;
    for (const [index, row] of work.entries()) {
      const factor = row[pivot] ?? 0;
      if (index === pivot || factor === 0) continue;
      for (const [column, value] of pivotRow.entries()) row[column] = (row[column] ?? 0) - factor * value;
    }
  }
  return work.map((row) => row.slice(size));
}

import { crc32 } from 'node:zlib';

/** Minimum, maximum, sum and number of the good samples of one span, and the quality of its last sample. */
export type Aggregate = {
  /** NaN without good samples. So is `high`. */
  readonly low: number;
  readonly high: number;
  readonly sum: number;
  readonly count: number;
  readonly quality: number;
};

/** Aggregates by minute of Unix time. */
export type Minutes = ReadonlyMap<number, Aggregate>;

const HOUR_MINUTES = 60;
/** Three doubles, a 32-bit count, and a byte each for the minute of the hour and the quality. */
const MINUTE_BYTES = 30;

/**
 * Packs the minutes of one hour as columns: minima, maxima, sums, counts, minutes of the hour, qualities. Not compressed: a
 * month of minutes is read in tens of milliseconds, and sums of noisy values compress by a third only.
 */
export function encodeMinutes(minutes: Minutes): Uint8Array {
  const rows = [...minutes].toSorted(([a], [b]) => a - b);
  const block = new Uint8Array(MINUTE_BYTES * rows.length);
  const columns = columnsOf(block);
  for (const [row, [minute, { low, high, sum, count, quality }]] of rows.entries()) {
    columns.lows[row] = low;
    columns.highs[row] = high;
    columns.sums[row] = sum;
    columns.counts[row] = count;
    columns.minutes[row] = minute % HOUR_MINUTES;
    columns.qualities[row] = quality;
  }
  return block;
}

/**
 * Calls `take` for each minute of a packed hour, in ascending order.
 * @returns False if the block fails its checksum; `take` is then not called.
 */
export function decodeMinutes(
  hour: number,
  block: unknown,
  checksum: number,
  take: (minute: number, aggregate: Aggregate) => void,
): boolean {
  // Damage may change the type of a value, in spite of the column's type.
  if (!(block instanceof Uint8Array) || crc32(block) !== checksum) return false;
  // The copy is aligned for doubles.
  const { lows, highs, sums, counts, minutes, qualities } = columnsOf(Uint8Array.from(block));
  for (let row = 0; row < counts.length; row += 1)
    take(hour * HOUR_MINUTES + (minutes[row] ?? 0), {
      low: lows[row] ?? Number.NaN,
      high: highs[row] ?? Number.NaN,
      sum: sums[row] ?? 0,
      count: counts[row] ?? 0,
      quality: qualities[row] ?? 0,
    });
  return true;
}

/** Joins the aggregates of two parts of one span. The quality is that of `later`. */
export function joinAggregates(earlier: Aggregate | undefined, later: Aggregate): Aggregate {
  if (earlier === undefined) return later;
  return {
    low: lower(earlier.low, later.low),
    high: -lower(-earlier.high, -later.high),
    sum: earlier.sum + later.sum,
    count: earlier.count + later.count,
    quality: later.quality,
  };
}

/** Returns the lower number; NaN stands for no value. */
function lower(a: number, b: number): number {
  return Number.isNaN(a) || b < a ? b : a;
}

/** Views of a block that begins at the start of its buffer. */
function columnsOf({ buffer, length }: Uint8Array<ArrayBuffer>) {
  const rows = length / MINUTE_BYTES;
  return {
    lows: new Float64Array(buffer, 0, rows),
    highs: new Float64Array(buffer, 8 * rows, rows),
    sums: new Float64Array(buffer, 16 * rows, rows),
    counts: new Uint32Array(buffer, 24 * rows, rows),
    minutes: new Uint8Array(buffer, 28 * rows, rows),
    qualities: new Uint8Array(buffer, 29 * rows, rows),
  };
}

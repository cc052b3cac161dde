import { despike } from '../core/despike.ts';
import { columnOf, concatenated, moments, rounded } from '../core/statistics.ts';
import { countRows, type TrainingRows } from '../core/training-rows.ts';

/** A property of the rows that a user should know before training. */
export type DataFinding = {
  readonly kind:
    | 'gap'
    | 'order'
    | 'missing'
    | 'constant'
    | 'counter'
    | 'stuck'
    | 'spikes'
    | 'regime'
    | 'range'
    | 'suppressed';
  /** Undefined if it concerns all tags. */
  readonly tag: string | undefined;
  readonly message: string;
};

/** A gap is a step longer than this many usual steps. */
const GAP_STEPS = 5;
/** A tag is stuck if it repeats one value for this many rows, and this many times longer than usual. */
const STUCK_ROWS_MIN = 120;
const STUCK_TIMES_USUAL = 50;
/** A tag that changes at least this often and never falls is a counter. */
const COUNTER_CHANGES_MIN = 5;
/** Share of the rows above which spikes are reported. */
const SPIKES_SHARE = 0.001;
/** Blocks of the search for a change of regime, and the minimum number on each side of one. */
const BLOCKS = 16;
const SIDE_BLOCKS_MIN = 3;
/** A change is a step between block means of this many times the scatter on either side and within a block. */
const STEP_SCATTERS = 6;
const STEP_DEVIATIONS = 2;

/** Returns the running statistics of one tag, before its first row. */
function newWatch() {
  return {
    missing: 0,
    low: Infinity,
    high: -Infinity,
    last: Number.NaN,
    /** Number of rows with the value `last`. */
    standing: 0,
    changes: 0,
    falls: 0,
    longest: 0,
    /** Last row of the longest constant run. */
    longestEnd: 0,
  };
}
type TagWatch = ReturnType<typeof newWatch>;

/** Checks rows one by one, in bounded memory, and reports its findings. */
export class DataCheck {
  readonly #tags: readonly string[];
  readonly #usualMs: number | undefined;
  readonly #watches: readonly TagWatch[];
  #rows = 0;
  #lastMs: number | undefined;
  #gaps = 0;
  #longestGapMs = 0;
  #longestGapRow = 0;
  #repeated = 0;
  #backward = 0;

  /** @param usualMs Usual time between rows; undefined if the rows have no times. */
  constructor(tags: readonly string[], usualMs: number | undefined) {
    this.#tags = tags;
    this.#usualMs = usualMs;
    this.#watches = tags.map(newWatch);
  }

  get rows(): number {
    return this.#rows;
  }

  /** @param row One value for each tag; NaN if it is missing. */
  add(row: ArrayLike<number>, timeMs: number | undefined): void {
    this.#lookAtTime(timeMs);
    for (const [tag, watch] of this.#watches.entries()) {
      const value = row[tag] ?? Number.NaN;
      if (Number.isNaN(value)) {
        watch.missing += 1;
        continue;
      }
      if (value < watch.low) watch.low = value;
      if (value > watch.high) watch.high = value;
      if (value === watch.last) watch.standing += 1;
      else {
        if (value < watch.last) watch.falls += 1;
        watch.last = value;
        watch.standing = 1;
        watch.changes += 1;
      }
      if (watch.standing <= watch.longest) continue;
      watch.longest = watch.standing;
      watch.longestEnd = this.#rows;
    }
    this.#rows += 1;
  }

  /**
   * @param runs Kept rows; searched for spikes and changes of regime.
   * @param outside Number of samples of each tag outside its configured range, which count as missing.
   */
  findings(runs: readonly TrainingRows[], outside: readonly number[]): readonly DataFinding[] {
    const spikes = spikesOf(runs, this.#tags.length);
    const kept = countRows(runs);
    const findings = this.#timeFindings();
    for (const [index, watch] of this.#watches.entries()) {
      const found = (kind: DataFinding['kind'], message: string) =>
        findings.push({ kind, tag: this.#tags[index], message });
      const count = spikes[index] ?? 0;
      const regime = regimeChange(runs, index);
      if ((outside[index] ?? 0) > 0)
        found('range', `${outside[index]} values are outside its range and count as missing`);
      if (watch.missing > 0) found('missing', `${watch.missing} of ${this.#rows} rows have no value`);
      if (watch.low === watch.high) found('constant', `is ${watch.low} in every row: the model learns nothing from it`);
      if (watch.falls === 0 && watch.changes >= COUNTER_CHANGES_MIN)
        found(
          'counter',
          `only grows, from ${watch.low} to ${watch.high}: each new value is abnormal. Watch its rate (a derived tag)`,
        );
      if (this.#isStuck(watch)) found('stuck', stuckMessage(watch));
      if (count > SPIKES_SHARE * kept) found('spikes', `${count} spikes in ${kept} rows`);
      if (regime !== undefined) found('regime', regime);
    }
    return findings;
  }

  #lookAtTime(timeMs: number | undefined): void {
    const lastMs = this.#lastMs;
    if (timeMs === undefined) return;
    this.#lastMs = timeMs;
    if (lastMs === undefined) return;
    const stepMs = timeMs - lastMs;
    if (stepMs === 0) this.#repeated += 1;
    if (stepMs < 0) this.#backward += 1;
    if (this.#usualMs === undefined || stepMs <= GAP_STEPS * this.#usualMs) return;
    this.#gaps += 1;
    if (stepMs <= this.#longestGapMs) return;
    this.#longestGapMs = stepMs;
    this.#longestGapRow = this.#rows;
  }

  #isStuck(watch: TagWatch): boolean {
    const usual = watch.changes < 2 ? 0 : (this.#rows - watch.longest) / (watch.changes - 1);
    return usual > 0 && watch.longest >= STUCK_ROWS_MIN && watch.longest > STUCK_TIMES_USUAL * usual;
  }

  #timeFindings(): DataFinding[] {
    const findings: DataFinding[] = [];
    const found = (kind: DataFinding['kind'], message: string) => findings.push({ kind, tag: undefined, message });
    if (this.#gaps > 0) {
      const longest = `the longest of ${Math.round(this.#longestGapMs / 1000)} s before row ${this.#longestGapRow}`;
      found('gap', `${this.#gaps} gaps in time, ${longest}`);
    }
    if (this.#repeated > 0) found('order', `${this.#repeated} rows repeat the time of the row before`);
    if (this.#backward > 0) found('order', `${this.#backward} rows go back in time`);
    return findings;
  }
}

function stuckMessage({ longest, longestEnd }: TagWatch): string {
  return `is constant for ${longest} rows, ${longestEnd - longest + 1} to ${longestEnd}, and changes in all other rows`;
}

function spikesOf(runs: readonly TrainingRows[], tags: number): Float64Array {
  const counts = new Float64Array(tags);
  for (const run of runs) {
    const clean = despike(run);
    for (let index = 0; index < run.values.length; index += 1)
      if (clean.values[index] !== run.values[index]) counts[index % tags] = (counts[index % tags] ?? 0) + 1;
  }
  return counts;
}

/** Returns a description of a lasting change of a tag's level; undefined if there is none. */
function regimeChange(runs: readonly TrainingRows[], tag: number): string | undefined {
  const values = concatenated(runs.map((run) => columnOf(run.values, run.tags, tag)));
  const length = Math.floor(values.length / BLOCKS);
  if (length < SIDE_BLOCKS_MIN) return undefined;
  const blocks = Array.from({ length: BLOCKS }, (_, block) =>
    moments(values.slice(block * length, (block + 1) * length)),
  );
  const within = Math.sqrt(moments(blocks.map(({ deviation }) => deviation ** 2)).mean);
  for (let split = SIDE_BLOCKS_MIN; split <= BLOCKS - SIDE_BLOCKS_MIN; split += 1) {
    const before = moments(blocks.slice(0, split).map(({ mean }) => mean));
    const after = moments(blocks.slice(split).map(({ mean }) => mean));
    const step = Math.abs(after.mean - before.mean);
    if (step <= STEP_DEVIATIONS * within || step === 0) continue;
    if (step <= STEP_SCATTERS * Math.max(before.deviation, after.deviation)) continue;
    return `changes its regime after about ${Math.round((split / BLOCKS) * 100)} % of the rows, from ${rounded(before.mean, 4)} to ${rounded(after.mean, 4)}`;
  }
  return undefined;
}

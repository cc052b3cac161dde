import type { LearningOverview } from '../contracts/learning-statuses.ts';
import type { TagReading } from '../contracts/live-events.ts';
import { type Rollup, rollupSpansMs, type SampleHistory, type TagSeries } from '../contracts/sample-history.ts';
import { formatDuration } from '../domain/duration.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { Coverage } from '../domain/learning/coverage.ts';
import { Modes } from '../domain/learning/modes.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import type { TrainedVersion } from './training-job.ts';

/** Time span of one read of the history. */
const SLICE_MS = 3_600_000;
/** After a failed training, this share of `learn.for` is collected before the next one. */
const RETRY_SHARE = 0.1;
/** Most false alarms of a model that is activated without a person. */
const FALSE_ALARM_RATE_MAX = 0.01;

/** Longest time for which an observed value of a mode counts: the time between two observations, ms. */
const MODE_HELD_MS_MAX = 20_000;

export type ModelLearnerOptions = {
  readonly watch: string;
  readonly config: WatchConfig;
  /** How long a value of the watch counts, ms. */
  readonly maxAgeMs: number;
  /** Begin of the learning. */
  readonly nowMs: EpochMs;
  /** Returns the path of the report of a version, and the command that activates it. */
  readonly advice: (version: number) => { readonly report: string; readonly command: string };
};

/** Learns the model of one watch: how much is collected, what was trained, and what an operator should know. */
export class ModelLearner {
  readonly watch: string;
  readonly config: WatchConfig;
  readonly #options: ModelLearnerOptions;
  readonly #coverage: Coverage;
  readonly #modes = new Modes();
  /** Names of values, by tag and value. */
  readonly #names = new Map<string, string>();
  #observedMs: EpochMs | undefined;
  #phase: LearningOverview['phase'] = 'collecting';
  #version: number | undefined;
  #reason = '';
  /** Collected time at which a training is due. */
  #dueMs: number;

  constructor(options: ModelLearnerOptions) {
    const { watch, config, maxAgeMs } = options;
    this.#options = options;
    this.watch = watch;
    this.config = config;
    this.#dueMs = config.learn.forMs;
    this.#coverage = new Coverage(config.tags.length, config.learn.forMs, maxAgeMs);
  }

  /** Interval at which values must be observed, ms. */
  get intervalMs(): number {
    return this.#coverage.bucketMs;
  }

  get isDue(): boolean {
    if (this.#phase !== 'collecting' && this.#phase !== 'failed') return false;
    const { coveredMs, collectedMs } = this.#coverage;
    return coveredMs >= this.config.learn.forMs && collectedMs >= this.#dueMs;
  }

  /** Returns the start of the time that a training uses. */
  fromMs(nowMs: EpochMs): EpochMs {
    return Math.max(this.#coverage.firstMs ?? nowMs, nowMs - 2 * this.config.learn.forMs);
  }

  /** Counts what the history has already, so that a restart loses no progress. */
  async readHistory(history: SampleHistory, nowMs: EpochMs, signal: AbortSignal): Promise<void> {
    const beginMs = nowMs - 2 * this.config.learn.forMs;
    // The minutes are enough, and a thousandth of the samples. Short times are counted by the second.
    if (this.#coverage.bucketMs >= rollupSpansMs['1m']) {
      const minutes = await history.rollups(this.config.tags, beginMs, nowMs, '1m');
      for (const [tag, rollup] of minutes.entries()) this.#addMinutes(tag, rollup, nowMs);
      return;
    }
    for (let fromMs = beginMs; fromMs < nowMs; fromMs += SLICE_MS) {
      if (signal.aborted) return;
      const toMs = Math.min(fromMs + SLICE_MS, nowMs);
      const series = await history.read(this.config.tags, fromMs, toMs);
      for (const [tag, samples] of series.entries()) this.#addSamples(tag, samples, nowMs);
    }
  }

  /**
   * Counts the present values.
   *
   * @param others Tags that are not in the watch, but of the same machine: they show its states.
   */
  observe(readings: readonly TagReading[], others: readonly TagReading[], nowMs: EpochMs): void {
    if (this.#phase === 'proposed') return;
    for (const [tag, { quality, timestampMs }] of readings.entries())
      if (quality === 'good') this.#coverage.add(tag, timestampMs, nowMs);
    const sinceMs = nowMs - (this.#observedMs ?? nowMs);
    this.#observedMs = nowMs;
    if (sinceMs <= 0) return;
    for (const { tag, value, text, quality } of [...readings, ...others]) {
      if (quality !== 'good' || value === undefined) continue;
      this.#modes.add(tag, value, Math.min(sinceMs, MODE_HELD_MS_MAX));
      if (text !== undefined) this.#names.set(`${tag} ${value}`, text);
    }
  }

  training(): void {
    this.#phase = 'training';
    this.#reason = 'a model is being trained';
  }

  failed(reason: string): void {
    this.#phase = 'failed';
    const moreMs = Math.max(this.config.learn.forMs * RETRY_SHARE, this.#coverage.bucketMs);
    this.#dueMs = this.#coverage.collectedMs + moreMs;
    this.#reason = `${reason}. The training is repeated after ${formatDuration(moreMs)} more`;
  }

  /** A version without an active one waits for an operator. */
  proposed(version: number, because: string): void {
    this.#phase = 'proposed';
    this.#version = version;
    const { report, command } = this.#options.advice(version);
    this.#reason = `${because}: read ${report}, then: ${command}`;
  }

  overview(nowMs: EpochMs): LearningOverview {
    const { coveredMs } = this.#coverage;
    const { forMs: neededMs } = this.config.learn;
    const reason = this.#phase === 'collecting' ? this.#progress(nowMs) : this.#reason;
    const command =
      this.#phase === 'proposed' && this.#version !== undefined
        ? this.#options.advice(this.#version).command
        : undefined;
    const modes = this.#modes.seen().map((mode) => ({ ...mode, name: this.#names.get(`${mode.tag} ${mode.value}`) }));
    return { phase: this.#phase, coveredMs, neededMs, version: this.#version, reason, command, modes };
  }

  /** True if the collection takes twice as long as it should. */
  isOverdue(nowMs: EpochMs): boolean {
    return this.#phase === 'collecting' && nowMs - this.#options.nowMs > 2 * this.config.learn.forMs;
  }

  #addMinutes(tag: number, { tag: name, timesMs, minima, maxima, counts }: Rollup, nowMs: EpochMs): void {
    for (const [at, timeMs] of timesMs.entries()) {
      if ((counts[at] ?? 0) === 0) continue;
      this.#coverage.add(tag, timeMs, nowMs);
      // A minute with two values counts half for each.
      for (const value of [minima[at] ?? 0, maxima[at] ?? 0]) this.#modes.add(name, value, rollupSpansMs['1m'] / 2);
    }
  }

  #addSamples(tag: number, { tag: name, timesMs, values }: TagSeries, nowMs: EpochMs): void {
    for (const [at, timeMs] of timesMs.entries()) {
      this.#coverage.add(tag, timeMs, nowMs);
      const heldMs = Math.min((timesMs[at + 1] ?? nowMs) - timeMs, this.#options.maxAgeMs);
      this.#modes.add(name, values[at] ?? 0, heldMs);
    }
  }

  #progress(nowMs: EpochMs): string {
    const { coveredMs, firstMs } = this.#coverage;
    const { forMs } = this.config.learn;
    const times = this.#coverage.tagMs();
    const least = times.indexOf(Math.min(...times));
    const tag = this.config.tags[least] ?? '';
    const percent = Math.min(100, Math.floor((100 * coveredMs) / forMs));
    const collected = `${percent} %: ${timeText(coveredMs)} of ${timeText(forMs)} in which every tag has good values.`;
    const gapsMs = firstMs === undefined ? 0 : nowMs - firstMs - coveredMs;
    if (gapsMs <= forMs * RETRY_SHARE) return collected;
    return `${collected} Least of all has ${tag}: ${timeText(times[least] ?? 0)}`;
  }
}

/** Returns a time rounded to whole seconds, above ten minutes to minutes, and above two days to hours. */
function timeText(timeMs: number): string {
  const unitMs = timeMs < 600_000 ? 1000 : timeMs < 172_800_000 ? 60_000 : 3_600_000;
  const rounded = Math.round(timeMs / unitMs) * unitMs;
  return rounded === 0 ? '0s' : formatDuration(rounded);
}

/** Returns why a version may not be activated without a person; undefined if it may. */
export function doubtAbout({ metrics, warnings, comparison }: TrainedVersion, tags: number): string | undefined {
  const { held_out_false_alarm_rate: rate, tags_with_detected_shift: detected } = metrics;
  if (rate === undefined || detected === undefined) return 'it is not known what the model detects';
  if (detected < tags) return `the model detects a shift of ${detected} of ${tags} tags only`;
  if (rate > FALSE_ALARM_RATE_MAX) return `the model would be in alarm ${(rate * 100).toFixed(1)} % of the time`;
  const misses = comparison?.periods.some(({ label, next }) => label === 'fault' && next.abnormal === 0);
  if (comparison?.recommendation === 'keep' || misses === true) return `${comparison?.reason}`;
  return warnings[0];
}

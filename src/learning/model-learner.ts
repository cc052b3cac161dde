import type { LearningOverview } from '../contracts/learning-statuses.ts';
import type { TagReading } from '../contracts/live-events.ts';
import { rollupSpansMs, type SampleHistory } from '../contracts/sample-history.ts';
import { formatDuration } from '../domain/duration.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { Coverage } from '../domain/learning/coverage.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import type { TrainedVersion } from './training-job.ts';

/** Time span of one read of the history. */
const SLICE_MS = 3_600_000;
/** After a failed training, this share of `learn.for` is collected before the next one. */
const RETRY_SHARE = 0.1;
/** Most false alarms of a model that is activated without a person. */
const FALSE_ALARM_RATE_MAX = 0.01;

/** Learns the model of one watch: how much is collected, what was trained, and what an operator should know. */
export class ModelLearner {
  readonly watch: string;
  readonly config: WatchConfig;
  readonly #coverage: Coverage;
  #phase: LearningOverview['phase'] = 'collecting';
  #version: number | undefined;
  #reason = '';
  /** Coverage at which a training is due. */
  #dueMs: number;
  readonly #beganMs: EpochMs;

  /**
   * @param maxAgeMs How long a value of the watch counts, ms.
   * @param nowMs Begin of the learning.
   */
  constructor(watch: string, config: WatchConfig, maxAgeMs: number, nowMs: EpochMs) {
    this.#beganMs = nowMs;
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
    return (this.#phase === 'collecting' || this.#phase === 'failed') && this.#coverage.coveredMs >= this.#dueMs;
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
      for (const [tag, { timesMs, counts }] of minutes.entries())
        for (const [at, timeMs] of timesMs.entries()) if ((counts[at] ?? 0) > 0) this.#coverage.add(tag, timeMs, nowMs);
      return;
    }
    for (let fromMs = beginMs; fromMs < nowMs; fromMs += SLICE_MS) {
      if (signal.aborted) return;
      const toMs = Math.min(fromMs + SLICE_MS, nowMs);
      const series = await history.read(this.config.tags, fromMs, toMs);
      for (const [tag, { timesMs }] of series.entries())
        for (const timeMs of timesMs) this.#coverage.add(tag, timeMs, nowMs);
    }
  }

  /** Counts the present values. */
  observe(readings: readonly TagReading[], nowMs: EpochMs): void {
    if (this.#phase === 'proposed') return;
    for (const [tag, { quality, timestampMs }] of readings.entries())
      if (quality === 'good') this.#coverage.add(tag, timestampMs, nowMs);
  }

  training(): void {
    this.#phase = 'training';
    this.#reason = 'a model is being trained';
  }

  failed(reason: string): void {
    this.#phase = 'failed';
    const moreMs = Math.max(this.config.learn.forMs * RETRY_SHARE, this.#coverage.bucketMs);
    this.#dueMs = this.#coverage.coveredMs + moreMs;
    this.#reason = `${reason}. The training is repeated after ${formatDuration(moreMs)} more`;
  }

  /** A version without an active one waits for an operator. */
  proposed(version: number, because: string): void {
    this.#phase = 'proposed';
    this.#version = version;
    const model = formatModelReference({ name: this.config.model.name, version });
    this.#reason = `${because}: look at its report.md, then: andon models activate ${model}`;
  }

  overview(nowMs: EpochMs): LearningOverview {
    const { coveredMs } = this.#coverage;
    const { forMs: neededMs } = this.config.learn;
    const reason = this.#phase === 'collecting' ? this.#progress(nowMs) : this.#reason;
    return { phase: this.#phase, coveredMs, neededMs, version: this.#version, reason };
  }

  /** True if the collection takes twice as long as it should. */
  isOverdue(nowMs: EpochMs): boolean {
    return this.#phase === 'collecting' && nowMs - this.#beganMs > 2 * this.config.learn.forMs;
  }

  #progress(nowMs: EpochMs): string {
    const { coveredMs, firstMs } = this.#coverage;
    const { forMs } = this.config.learn;
    const times = this.#coverage.tagMs();
    const least = times.indexOf(Math.min(...times));
    const tag = this.config.tags[least] ?? '';
    const gapsMs = firstMs === undefined ? 0 : nowMs - firstMs - coveredMs;
    const slowest = ` Least of all has ${tag}: ${formatDuration(times[least] ?? 0)}`;
    return `${formatDuration(coveredMs)} of ${formatDuration(forMs)} in which every tag has good values.${gapsMs > forMs * RETRY_SHARE ? slowest : ''}`;
  }
}

/** Returns why a version may not be activated without a person; undefined if it may. */
export function doubtAbout({ metrics, warnings }: TrainedVersion, tags: number): string | undefined {
  const { held_out_false_alarm_rate: rate, tags_with_detected_shift: detected } = metrics;
  if (rate === undefined || detected === undefined) return 'it is not known what the model detects';
  if (detected < tags) return `the model detects a shift of ${detected} of ${tags} tags only`;
  if (rate > FALSE_ALARM_RATE_MAX) return `the model would be in alarm ${(rate * 100).toFixed(1)} % of the time`;
  return warnings[0];
}

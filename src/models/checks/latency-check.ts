import type { Tensors, TensorSpec } from '../../contracts/inference.ts';
import type { LatencyFigures } from '../../contracts/model-registry.ts';
import type { HostRun } from '../../contracts/model-session.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import type { Clock } from '../../platform/clock.ts';
import { OperatingError } from '../../platform/errors.ts';
import { feedOf } from './golden.ts';
import { isLoss } from '../errors/host-loss.ts';
import { registryFailure } from '../errors/registry-errors.ts';
import { tensorData } from './tensor-check.ts';
import { elementCount } from '../../contracts/tensor-shape.ts';

const WARM_UP_RUNS = 3;
const RUNS_MAX = 100;
/** Wall-clock time after which a series ends: a few runs show how slow a model is. */
const SERIES_MS_MAX = 2_000;
/** A model is too slow only if this many series in a row are: one may be disturbed by other load on the machine. */
const SERIES_MAX = 3;
/** A graph without golden vectors whose inputs are larger is not run on zeros. */
const ZEROS_MAX = 10_000_000;

export type LatencyCheckOptions = {
  /** One run; past `timeoutMs` it fails with 'inference-timeout'. */
  readonly run: (inputs: Tensors, timeoutMs: number) => Promise<Pick<HostRun, 'cpuMs'>>;
  readonly manifest: AnyManifest;
  /** Inputs of the graph, as the host returned them when it loaded the model. */
  readonly inputs: readonly TensorSpec[];
  readonly deadlineMs: number;
  /** Longest time of one run. */
  readonly runTimeoutMs: number;
  /** 'report' if the version must not be refused for its latency, as after a rollback. */
  readonly ifTooSlow: 'refuse' | 'report';
  readonly clock: Clock;
};

/**
 * Runs a loaded model until it is warm, then measures runs of one row against its deadline. The rows are its golden
 * inputs, or zeros if it has none.
 *
 * The result must not depend on the load of the machine at that moment. So a run counts with its CPU time if that is
 * known and shorter than the wall-clock time, the median of the runs of each input decides, and a series that is too slow is
 * repeated.
 *
 * @returns undefined for a graph without golden vectors that rejects zeros: its latency is unknown.
 * @throws {OperatingError} 'model-too-slow' with the figures; 'host-crashed', and the error of a failed run.
 */
export async function checkLatency(options: LatencyCheckOptions): Promise<LatencyFigures | undefined> {
  const { manifest, inputs, deadlineMs, ifTooSlow } = options;
  const feeds = feedsOf(manifest, inputs);
  if (feeds.length === 0) return undefined;
  try {
    for (let index = 0; index < WARM_UP_RUNS; index += 1)
      await options.run(feeds[index % feeds.length] ?? {}, options.runTimeoutMs);
  } catch (error) {
    if (manifest.golden.length > 0 || isLoss(error) || !(error instanceof OperatingError)) throw error;
    return undefined;
  }
  let series = await measure(feeds, options);
  for (let count = 1; count < SERIES_MAX && slowestMs(series) > deadlineMs; count += 1)
    series = await measure(feeds, options);
  const timesMs = series.flat();
  const [p50Ms, p99Ms, maxMs] = [0.5, 0.99, 1].map((share) => percentile(timesMs, share)) as [number, number, number];
  if (ifTooSlow === 'refuse' && slowestMs(series) > deadlineMs)
    throw registryFailure(
      'model-too-slow',
      `Of ${timesMs.length} runs of one row, the median of the slowest input took ${slowestMs(series)} ms, 1 % ${p99Ms} ms or more and the longest ${maxMs} ms; the deadline is ${deadlineMs} ms`,
    );
  return { warmUpRuns: WARM_UP_RUNS, runs: timesMs.length, p50Ms, p99Ms, maxMs, deadlineMs };
}

/** Milliseconds of the runs of each input. */
type Series = readonly (readonly number[])[];

async function measure(feeds: readonly Tensors[], { run, runTimeoutMs, clock }: LatencyCheckOptions): Promise<Series> {
  const series: number[][] = feeds.map(() => []);
  const endMs = clock.monotonicMs() + SERIES_MS_MAX;
  for (let index = 0; index < RUNS_MAX && (index === 0 || clock.monotonicMs() < endMs); index += 1) {
    const startedMs = clock.monotonicMs();
    const { cpuMs } = await run(feeds[index % feeds.length] ?? {}, runTimeoutMs);
    const wallMs = clock.monotonicMs() - startedMs;
    series[index % feeds.length]?.push(Math.min(wallMs, cpuMs ?? wallMs));
  }
  return series;
}

/** Median of the slowest input. */
function slowestMs(series: Series): number {
  return Math.max(...series.map((timesMs) => percentile(timesMs, 0.5)));
}

/** Nearest rank, in whole microseconds: of fewer than a hundred, the 99th percentile is the largest. */
function percentile(timesMs: readonly number[], share: number): number {
  const sorted = timesMs.toSorted((a, b) => a - b);
  return Math.round((sorted[Math.ceil(share * sorted.length) - 1] ?? 0) * 1_000) / 1_000;
}

function feedsOf(manifest: AnyManifest, inputs: readonly TensorSpec[]): readonly Tensors[] {
  if (manifest.golden.length > 0) return manifest.golden.map((golden) => feedOf(golden, inputs));
  const zeros = inputs.map((spec) => ({ ...spec, dims: spec.dims.map((size) => (size === -1 ? 1 : size)) }));
  if (inputs.length === 0 || zeros.some(({ dims }) => elementCount(dims) > ZEROS_MAX)) return [];
  return [
    Object.fromEntries(
      zeros.map(({ name, type, dims }) => {
        const values = Array.from({ length: elementCount(dims) }, () => (type === 'string' ? '' : 0));
        return [name, { type, dims, data: tensorData(type, values) }];
      }),
    ),
  ];
}

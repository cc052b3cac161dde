import type { Tensors, TensorSpec } from '../../contracts/inference.ts';
import type { LatencyFigures } from '../../contracts/model-registry.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import type { Clock } from '../../platform/clock.ts';
import { OperatingError } from '../../platform/errors.ts';
import { feedOf } from './golden.ts';
import { isLoss } from '../errors/host-loss.ts';
import { registryFailure } from '../errors/registry-errors.ts';
import { elementCount, tensorData } from './tensor-check.ts';

const WARM_UP_RUNS = 3;
const RUNS_MAX = 100;
/** The series ends early where its runs together took this long: a slow model is known by a few of them. */
const SERIES_MS_MAX = 5_000;
/** A graph without golden vectors whose inputs are larger is not run on zeros. */
const ZEROS_MAX = 10_000_000;

export type LatencyCheckOptions = {
  /** One run; past `timeoutMs` it fails with 'inference-timeout'. */
  readonly run: (inputs: Tensors, timeoutMs: number) => Promise<unknown>;
  readonly manifest: AnyManifest;
  /** Of the graph, as the host gave them when it loaded the model. */
  readonly inputs: readonly TensorSpec[];
  readonly deadlineMs: number;
  /** Longest that one run of the warm-up may take. */
  readonly warmUpTimeoutMs: number;
  readonly clock: Clock;
};

/**
 * Runs a loaded model until it is warm, then measures runs of one row against its deadline. The rows are its golden
 * inputs, or zeros where it has none.
 *
 * @returns undefined for a graph without golden vectors that takes no zeros: nothing can be said of it.
 * @throws {OperatingError} 'model-too-slow' with the figures; 'host-crashed', and what the run failed by.
 */
export async function checkLatency(options: LatencyCheckOptions): Promise<LatencyFigures | undefined> {
  const { manifest, inputs, deadlineMs, warmUpTimeoutMs, clock } = options;
  const feeds = feedsOf(manifest, inputs);
  if (feeds.length === 0) return undefined;
  const run = async (index: number, timeoutMs: number): Promise<number> => {
    const beganMs = clock.monotonicMs();
    await options.run(feeds[index % feeds.length] ?? {}, timeoutMs);
    return clock.monotonicMs() - beganMs;
  };
  try {
    for (let index = 0; index < WARM_UP_RUNS; index += 1) await run(index, warmUpTimeoutMs);
  } catch (error) {
    if (manifest.golden.length > 0 || isLoss(error) || !(error instanceof OperatingError)) throw error;
    return undefined;
  }
  const figures = figuresOf(await series(run, deadlineMs), deadlineMs);
  if (figures.p99Ms > deadlineMs) throw tooSlow(figures);
  return figures;
}

/** Milliseconds of each run; a run that was given up counts as the time it had. */
async function series(
  run: (index: number, timeoutMs: number) => Promise<number>,
  deadlineMs: number,
): Promise<readonly number[]> {
  // Past the deadline by so much, how much longer it would take does not matter any more.
  const timeoutMs = 2 * deadlineMs + 1_000;
  const timesMs: number[] = [];
  let sumMs = 0;
  try {
    while (timesMs.length < RUNS_MAX && sumMs < SERIES_MS_MAX) {
      const timeMs = await run(timesMs.length, timeoutMs);
      timesMs.push(timeMs);
      sumMs += timeMs;
    }
    return timesMs;
  } catch (error) {
    if (error instanceof OperatingError && error.code === 'inference-timeout') return [...timesMs, timeoutMs];
    throw error;
  }
}

function figuresOf(timesMs: readonly number[], deadlineMs: number): LatencyFigures {
  const sorted = timesMs.toSorted((a, b) => a - b);
  // Nearest rank: of fewer than a hundred, the 99th percentile is the largest.
  const percentile = (share: number) => rounded(sorted[Math.ceil(share * sorted.length) - 1] ?? 0);
  return {
    warmUpRuns: WARM_UP_RUNS,
    runs: sorted.length,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
    maxMs: percentile(1),
    deadlineMs,
  };
}

function tooSlow({ runs, p50Ms, p99Ms, maxMs, deadlineMs }: LatencyFigures): OperatingError {
  return registryFailure(
    'model-too-slow',
    `Of ${runs} runs of one row, half took ${p50Ms} ms or more, 1 % ${p99Ms} ms and the longest ${maxMs} ms; the deadline is ${deadlineMs} ms`,
  );
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

/** To microseconds, which is more than the clock is good for. */
function rounded(timeMs: number): number {
  return Math.round(timeMs * 1_000) / 1_000;
}

import type { ExecutionProvider, Tensor, Tensors } from '../contracts/inference.ts';
import type { LoadedSession } from '../contracts/model-session.ts';
import { joinRows } from '../models/checks/batch-rows.ts';
import { feedOf } from '../models/checks/golden.ts';
import type { StoredModel } from '../models/store/model-directory.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import type { Clock } from '../platform/clock.ts';
import { OperatingError } from '../platform/errors.ts';
import { HostProcess } from '../runtime/host/host-process.ts';
import { loadSession } from '../runtime/host/provider-order.ts';
import { gpuBytesOf } from './gpu-facts.ts';

const SINGLE_RUNS = 200;
const BATCH_ROWS = 64;
const BATCH_RUNS = 20;
/** Runs before the measurement: the first ones compile kernels. */
const WARM_UP_RUNS = 5;
/** Time after which a series ends: a few runs show how slow a provider is. */
const SERIES_MS_MAX = 2_000;
/** Largest accepted difference from the CPU, relative to max(1, |value|). */
const DIFFERENCE_MAX = 1e-3;

export type CheckedModel = { readonly stored: StoredModel; readonly config: ModelsConfig };

/** Figures of one model on one provider. Times are for `session.run` alone, without the messages to and from the host. */
type ModelFigures = {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** In batches of 64 rows; undefined if the graph takes one row only. */
  readonly rowsPerSecond: number | undefined;
  /** Memory of the host after the model was loaded, with the models before it. */
  readonly residentBytes: number;
  /** Memory of the host on the GPU, as nvidia-smi reports it; undefined without it. */
  readonly gpuBytes: number | undefined;
};

export type ModelCheck = {
  readonly model: string;
  /** 'unavailable': the agent runs it on the next provider of its list. 'failed': it does not give the results of the CPU. */
  readonly state: 'ok' | 'unavailable' | 'failed';
  /** Undefined if all is well. */
  readonly reason: string | undefined;
  /** Relative to max(1, |value on the CPU|); undefined if it did not run. */
  readonly largestDifference: number | undefined;
  readonly figures: ModelFigures | undefined;
};

/** Outputs of the compared runs of each model on the CPU, by model. */
export type Reference = Map<string, readonly Tensors[]>;

/**
 * Runs each model on a provider, in one host process: its golden vectors, single rows and batches. The outputs become the
 * reference, or are compared with it.
 *
 * @param reference Filled by the run on the CPU, which must be the first.
 */
export async function checkProvider(
  provider: ExecutionProvider,
  models: readonly CheckedModel[],
  reference: Reference,
  { entry, clock }: { readonly entry: URL; readonly clock: Clock },
): Promise<readonly ModelCheck[]> {
  let host = new HostProcess(entry, clock);
  try {
    const checks: ModelCheck[] = [];
    for (const model of models) {
      const check = await checkModel(host, provider, model, reference);
      checks.push(check);
      if (host.doomed) host = new HostProcess(entry, clock);
    }
    return checks;
  } finally {
    host.kill('stopped');
    await host.exited;
  }
}

async function checkModel(
  host: HostProcess,
  provider: ExecutionProvider,
  { stored, config }: CheckedModel,
  reference: Reference,
): Promise<ModelCheck> {
  const key = `${stored.name}@${stored.version}`;
  try {
    const loaded = await loadSession(host, key, stored, { name: provider, deviceId: 0, required: true }, config);
    const run = async (inputs: Tensors) => host.call('run', { key, inputs, finite: true }, config.loadDeadlineMs);
    const feeds = feedsOf(stored, loaded);
    const outputs = [];
    for (const feed of feeds) outputs.push((await run(feed)).outputs);
    const figures = await measure(host, run, feeds, loaded, config.loadDeadlineMs);
    const expected = reference.get(key) ?? outputs;
    reference.set(key, expected);
    const largestDifference = Math.max(...outputs.map((tensors, index) => difference(tensors, expected[index] ?? {})));
    const isEqual = largestDifference <= DIFFERENCE_MAX;
    const reason = isEqual ? undefined : `differs from the CPU by ${largestDifference.toPrecision(2)}`;
    return { model: key, state: isEqual ? 'ok' : 'failed', reason, largestDifference, figures };
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    const state = error.code === 'provider-unavailable' ? 'unavailable' : 'failed';
    return { model: key, state, reason: error.message, largestDifference: undefined, figures: undefined };
  }
}

/** Returns the golden inputs, and a batch of changed ones if the graph takes batches. */
function feedsOf({ manifest }: StoredModel, { inputs, batching }: LoadedSession): readonly Tensors[] {
  const golden = manifest.golden.map((vector) => feedOf(vector, inputs));
  const [first] = golden;
  if (first === undefined || batching !== 'rows') return golden;
  const rows = Array.from({ length: BATCH_ROWS }, (_, row) => scaled(golden[row % golden.length] ?? first, row));
  return [...golden, joinRows(rows)];
}

/** Multiplies all numbers by 0.99 to 1.01. */
function scaled(tensors: Tensors, row: number): Tensors {
  const factor = 1 + 0.01 * Math.sin(row);
  const changed = (tensor: Tensor): Tensor =>
    tensor.data instanceof Float32Array ? { ...tensor, data: tensor.data.map((value) => value * factor) } : tensor;
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, changed(tensor)]));
}

async function measure(
  host: HostProcess,
  run: (inputs: Tensors) => Promise<{ readonly runMs: number }>,
  feeds: readonly Tensors[],
  { batching }: LoadedSession,
  timeoutMs: number,
): Promise<ModelFigures> {
  const timesOf = async (feed: Tensors, runs: number) => {
    const timesMs: number[] = [];
    let spentMs = 0;
    for (let index = -WARM_UP_RUNS; index < runs && (index < 1 || spentMs < SERIES_MS_MAX); index += 1) {
      const { runMs } = await run(feed);
      spentMs += runMs;
      if (index >= 0) timesMs.push(runMs);
    }
    return timesMs.toSorted((a, b) => a - b);
  };
  const single = await timesOf(feeds[0] ?? {}, SINGLE_RUNS);
  const batch = batching === 'rows' ? await timesOf(feeds.at(-1) ?? {}, BATCH_RUNS) : [];
  const { residentBytes } = await host.call('ping', undefined, timeoutMs);
  const at = (share: number) => single[Math.ceil(share * single.length) - 1] ?? 0;
  const batchMs = batch[Math.floor(batch.length / 2)];
  return {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    rowsPerSecond: batchMs === undefined ? undefined : Math.round((BATCH_ROWS * 1000) / batchMs),
    residentBytes,
    gpuBytes: await gpuBytesOf(host.pid),
  };
}

function difference(actual: Tensors, expected: Tensors): number {
  const differences = Object.entries(expected).map(([name, { data }]) => {
    const other = actual[name]?.data ?? [];
    let largest = 0;
    for (const [index, value] of data.entries()) {
      const [a, b] = [Number(other[index]), Number(value)];
      largest = Math.max(largest, Math.abs(a - b) / Math.max(1, Math.abs(b)));
    }
    return largest;
  });
  return Math.max(0, ...differences);
}

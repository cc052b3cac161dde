import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cpuUsage, memoryUsage } from 'node:process';
import * as ort from 'onnxruntime-node';
import type { Tensor, Tensors, TensorSpec } from '../../contracts/inference.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import type { RpcHandlers } from '../../platform/rpc.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { fixedBatch, runRowByRow } from '../../models/checks/batch-rows.ts';
import { collectGarbage } from './collect-garbage.ts';
import { type GraphSpecs, proveGraph } from '../../models/checks/graph-proof.ts';
import type { HostRun, LoadedSession, RunParams } from '../../contracts/model-session.ts';
import type { HostProtocol, LoadParams } from './host-protocol.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { readModelFile } from '../../models/store/model-file.ts';
import { nodesByProvider, ranOn } from './provider-proof.ts';
import { providerObstacle, providerReason } from './provider-reason.ts';
import { sessionOptions } from './session-options.ts';
import { isLocaleError, withPortableLocale } from './string-locale.ts';
import { checkFiniteInputs, checkFiniteOutputs, isTensorType } from '../../models/checks/tensor-check.ts';

/** Above this size, garbage is collected before the file is loaded, which takes some milliseconds. */
const GARBAGE_BYTES_MIN = 8_000_000;

type Runnable = {
  readonly session: ort.InferenceSession;
  /** Rows of a run if the graph takes a fixed number; batches go through it row by row. */
  readonly batch: number | undefined;
  /** All work is done on the CPU, so that its time shows how long a run takes on an idle machine. */
  readonly onCpu: boolean;
};

/** ONNX Runtime's sessions. Lives in the host's process only: `session.run` blocks its thread. */
export class SessionRunner {
  readonly #sessions = new Map<string, Runnable>();

  handlers(): RpcHandlers<HostProtocol> {
    return {
      load: (params) => this.load(params),
      run: (params) => this.run(params),
      unload: async ({ key }) => {
        await this.unload(key);
        return undefined;
      },
      ping: () => ({ residentBytes: memoryUsage.rss() }),
    };
  }

  /**
   * Loads a model on one provider and proves it: graph against manifest, golden vectors, provider in use. A session
   * that is loaded under its key keeps running until then.
   *
   * @throws {OperatingError} 'model-file-invalid', 'model-load-failed', 'model-golden-mismatch',
   *   'provider-unavailable' (the model may still run on another provider).
   */
  async load(params: LoadParams): Promise<LoadedSession> {
    const passed = startClock();
    const staging = await mkdtemp(join(params.stagingDirectory, 'model-'));
    try {
      const session = await createSession(params, staging);
      try {
        const proven = await proveSession(session, params, staging);
        await this.unload(params.key);
        const onCpu = params.provider.name === 'cpu';
        const batch = proven.batching === 'row-by-row' ? fixedBatch(rawSpecs(session).inputs) : undefined;
        this.#sessions.set(params.key, { session, batch, onCpu });
        const { wallMs, cpuMs } = passed();
        // On a busy machine a load waits for its turn. That time says nothing about the model.
        return { ...proven, loadMs: onCpu ? Math.min(wallMs, cpuMs) : wallMs };
      } catch (error) {
        await session.release();
        throw error;
      }
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  }

  async unload(key: string): Promise<void> {
    const runnable = this.#sessions.get(key);
    this.#sessions.delete(key);
    await runnable?.session.release();
  }

  /**
   * @param inputs Names, types and shapes were checked by the agent.
   * @throws {OperatingError} 'model-not-ready', 'model-input-invalid', 'model-output-invalid', 'model-run-failed'.
   */
  async run({ key, inputs, finite }: RunParams): Promise<HostRun> {
    const runnable = this.#sessions.get(key);
    if (runnable === undefined) throw inferenceFailure('model-not-ready', `No session '${key}' in the host`);
    return finite ? runFinite(runnable, inputs) : runAny(runnable, inputs);
  }
}

/** Returns a function for the time that has passed, and the CPU time of all threads of this process meanwhile. */
function startClock(): () => { readonly wallMs: number; readonly cpuMs: number } {
  const startedMs = performance.now();
  const startedCpu = cpuUsage();
  return () => {
    const { user, system } = cpuUsage(startedCpu);
    return { wallMs: performance.now() - startedMs, cpuMs: (user + system) / 1_000 };
  };
}

async function createSession(params: LoadParams, staging: string): Promise<ort.InferenceSession> {
  const { provider } = params;
  const obstacle = providerObstacle(provider.name);
  if (obstacle !== undefined) throw inferenceFailure('provider-unavailable', obstacle);
  const path = join(staging, 'model.onnx');
  if ((await stageModel(params, path)) > GARBAGE_BYTES_MIN) collectGarbage();
  try {
    return await createPortable(path, sessionOptions(params, staging));
  } catch (error) {
    const message = errorMessage(error);
    if (isLocaleError(message))
      throw inferenceFailure('model-load-failed', `${message}. Install it: apt install locales, then locale-gen`, {
        cause: error,
      });
    if (provider.name === 'cpu') throw inferenceFailure('model-load-failed', message, { cause: error });
    throw inferenceFailure('provider-unavailable', providerReason(message), { cause: error });
  }
}

/** Loads the staged file; with another locale if that of a text operator is not installed. */
async function createPortable(
  path: string,
  options: ort.InferenceSession.SessionOptions,
): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(path, options);
  } catch (error) {
    const portable = isLocaleError(errorMessage(error)) ? withPortableLocale(await readFile(path)) : undefined;
    if (portable === undefined) throw error;
    await writeFile(path, portable, { mode: 0o600 });
    return ort.InferenceSession.create(path, options);
  }
}

/**
 * Copies the graph to the staging folder, so that the hashed bytes are loaded even if the model directory changes.
 *
 * @returns Size in bytes.
 */
async function stageModel({ model, directory, modelBytesMax }: LoadParams, path: string): Promise<number> {
  const bytes = await readModelFile(model, directory, modelBytesMax);
  await writeFile(path, bytes, { mode: 0o600, flag: 'wx' });
  return bytes.length;
}

async function proveSession(
  session: ort.InferenceSession,
  params: LoadParams,
  staging: string,
): Promise<Omit<LoadedSession, 'loadMs'>> {
  const { manifest } = params.model;
  const run = judgesWindows(manifest) ? runFinite : runAny;
  const proved = await proveGraph(
    manifest,
    rawSpecs(session),
    async (feeds, batch) => (await run({ session, batch, onCpu: false }, feeds)).outputs,
  );
  return { ...proved, nodesByProvider: await proveProvider(session, params, staging) };
}

async function proveProvider(
  session: ort.InferenceSession,
  params: LoadParams,
  staging: string,
): Promise<Readonly<Record<string, number>>> {
  const { name } = params.provider;
  if (name === 'cpu') return {};
  session.endProfiling();
  const profile = (await readdir(staging)).find((file) => file.startsWith('profile'));
  const counts = profile === undefined ? {} : await nodesByProvider(join(staging, profile));
  if (!ranOn(name, counts))
    throw inferenceFailure(
      'provider-unavailable',
      'no operator of this graph runs on it; ONNX Runtime put all on the CPU',
    );
  return counts;
}

async function runFinite(runnable: Runnable, inputs: Tensors): Promise<HostRun> {
  checkFiniteInputs(inputs);
  const result = await runAny(runnable, inputs);
  checkFiniteOutputs(result.outputs);
  return result;
}

function runAny(runnable: Runnable, inputs: Tensors): Promise<HostRun> {
  const { batch } = runnable;
  return batch === undefined
    ? runOnce(runnable, inputs)
    : runRowByRow(inputs, batch, (rows) => runOnce(runnable, rows));
}

async function runOnce({ session, onCpu }: Runnable, inputs: Tensors): Promise<HostRun> {
  const feeds = Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, ortTensor(tensor)]));
  const passed = startClock();
  try {
    const results = await session.run(feeds);
    const { wallMs, cpuMs } = passed();
    return {
      outputs: Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromOrt(value)])),
      runMs: wallMs,
      cpuMs: onCpu ? cpuMs : undefined,
    };
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    throw inferenceFailure('model-run-failed', errorMessage(error), { cause: error });
  }
}

function ortTensor({ type, data, dims }: Tensor): ort.Tensor {
  // The types go together by construction; ONNX Runtime declares one overload for each and none for their union.
  const tensor = new ort.Tensor(type as 'float32', data as Float32Array, dims);
  // If the engine has Float16Array, ONNX Runtime (1.30) converts the bits to one, which its native part treats as empty.
  if (type === 'float16') Object.defineProperty(tensor, 'data', { value: data });
  return tensor;
}

function fromOrt(value: ort.OnnxValue): Tensor {
  if (!('data' in value) || !isTensorType(value.type))
    throw inferenceFailure('model-run-failed', `An output is of type ${'type' in value ? value.type : 'unknown'}`);
  const { type, dims, data } = value;
  // If the engine has Float16Array, ONNX Runtime returns one; the bits are sent to the agent.
  if (type === 'float16' && ArrayBuffer.isView(data))
    return { type, dims, data: new Uint16Array(data.buffer, data.byteOffset, data.length) };
  return { type, dims, data };
}

/** The graph's inputs and outputs as it declares them. */
function rawSpecs(session: ort.InferenceSession): GraphSpecs {
  return { inputs: session.inputMetadata.map(tensorSpec), outputs: session.outputMetadata.map(tensorSpec) };
}

function tensorSpec(value: ort.InferenceSession.ValueMetadata): TensorSpec {
  if (!value.isTensor)
    throw inferenceFailure(
      'model-load-failed',
      `'${value.name}' is not a tensor but a sequence or map, as classifiers have it by default (ZipMap). Export the model without it: to_onnx(model, X, options={'zipmap': False}) of skl2onnx, convert_lightgbm(model, zipmap=False) of onnxmltools`,
    );
  if (!isTensorType(value.type))
    throw inferenceFailure(
      'model-load-failed',
      `'${value.name}' is of type ${value.type}, which andon does not support`,
    );
  return {
    name: value.name,
    type: value.type,
    dims: value.shape.map((size) => (typeof size === 'number' ? size : -1)),
  };
}

import type * as Ort from 'onnxruntime-node';
import type { Tensor, TensorType } from '../../src/contracts/inference.ts';
import { difference, type OnnxCase } from './onnx-cases.ts';

export type BareOutcome =
  | { readonly passed: true; readonly outputNames: readonly string[]; readonly inputNames: readonly string[] }
  | { readonly passed: false; readonly reason: string };

/** onnxruntime-node itself, without andon. */
export class BareOnnx {
  readonly #ort: typeof Ort;

  private constructor(ort: typeof Ort) {
    this.#ort = ort;
  }

  static async load(): Promise<BareOnnx> {
    // Set before loading: since 1.29 its Linux builds send telemetry unless this is set.
    process.env['ORT_DISABLE_TELEMETRY'] = '1';
    return new BareOnnx(await import('onnxruntime-node'));
  }

  /** Runs every data set of a case. */
  async run({ modelPath, dataSets }: OnnxCase): Promise<BareOutcome> {
    let session: Ort.InferenceSession | undefined;
    try {
      session = await this.#ort.InferenceSession.create(modelPath, { logSeverityLevel: 4, intraOpNumThreads: 1 });
      const { inputNames, outputNames } = session;
      for (const { inputs, outputs } of dataSets) {
        const feeds = Object.fromEntries(
          inputs.map((tensor, index) => [inputNames[index] ?? '', this.#ortTensor(tensor)]),
        );
        const results = await session.run(feeds);
        for (const [index, expected] of outputs.entries()) {
          const name = outputNames[index] ?? '';
          const wrong = difference(tensorOf(results[name]), expected);
          if (wrong !== undefined) return { passed: false, reason: `'${name}' ${wrong}` };
        }
      }
      return { passed: true, inputNames, outputNames };
    } catch (error) {
      return { passed: false, reason: error instanceof Error ? error.message : String(error) };
    } finally {
      await session?.release();
    }
  }

  #ortTensor({ type, data, dims }: Tensor): Ort.Tensor {
    // ONNX Runtime declares one overload for each type and none for their union.
    const tensor = new this.#ort.Tensor(type as 'float32', data as Float32Array, dims);
    // Without this, no half-precision input works on an engine with Float16Array (1.30): it counts as empty.
    if (type === 'float16') Object.defineProperty(tensor, 'data', { value: data });
    return tensor;
  }
}

function tensorOf(value: Ort.OnnxValue | undefined): Tensor | undefined {
  if (value === undefined || !('data' in value)) return undefined;
  const { type, dims, data } = value;
  const bits =
    type === 'float16'
      ? new Uint16Array((data as Uint16Array).buffer, (data as Uint16Array).byteOffset, data.length)
      : data;
  return { type: type as TensorType, dims, data: bits as Tensor['data'] };
}

import { InferenceSession, Tensor } from 'onnxruntime-node';

export type GraphResult = {
  readonly score: Float32Array;
  readonly contributions: Float32Array;
  /** Empty if the graph has none. */
  readonly parts: Float32Array;
};

/** Runs a graph on windows of shape [batch, steps, tags] as the agent would, on the CPU. */
export async function runGraph(
  bytes: Uint8Array,
  window: Float32Array,
  dims: readonly [number, number, number],
): Promise<GraphResult> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const outputs = await session.run({ window: new Tensor('float32', window, dims) });
    const parts = outputs['parts'] === undefined ? new Float32Array() : floats(outputs['parts']);
    return { score: floats(outputs['score']), contributions: floats(outputs['contributions']), parts };
  } finally {
    await session.release();
  }
}

function floats(tensor: Tensor | undefined): Float32Array {
  if (!(tensor?.data instanceof Float32Array)) throw new TypeError('The graph gives no such float32 output');
  return tensor.data;
}

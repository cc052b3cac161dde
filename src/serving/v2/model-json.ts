import type { ModelStatistics, ServedModel, TensorSpec } from '../../contracts/inference.ts';
import { datatypeOf } from '../../protocols/open-inference/datatypes.ts';

/** Triton's name for ONNX models on ONNX Runtime. */
const PLATFORM = 'onnxruntime_onnx';

/** Model metadata; a size of -1 is a dimension of any size. */
export function metadataJson(name: string, versions: readonly number[], model: ServedModel) {
  return {
    name,
    versions: versions.map(String),
    platform: PLATFORM,
    inputs: model.inputs.map(tensorMetadata),
    outputs: model.outputs.map(tensorMetadata),
  };
}

/** Model configuration in Triton's form; `max_batch_size` 0 means that the shapes include the batch. */
export function configurationJson(name: string, { inputs, outputs }: ServedModel) {
  return {
    name,
    platform: PLATFORM,
    backend: 'onnxruntime',
    max_batch_size: 0,
    input: inputs.map(tensorConfiguration),
    output: outputs.map(tensorConfiguration),
  };
}

/**
 * Statistics of a model. andon measures a run as a whole: `compute_infer` includes copying tensors in and out, and the two other
 * stages count the same runs with a time of 0.
 */
export function statisticsJson(statistics: ModelStatistics) {
  const { succeeded, failed, queued, computed } = statistics;
  const within = { count: computed.count, ns: 0 };
  return {
    name: statistics.name,
    version: String(statistics.version),
    last_inference: Math.round(statistics.lastInferenceMs),
    inference_count: statistics.inferences,
    execution_count: statistics.executions,
    inference_stats: {
      success: duration(succeeded),
      fail: duration(failed),
      queue: duration(queued),
      compute_input: within,
      compute_infer: duration(computed),
      compute_output: within,
      cache_hit: { count: 0, ns: 0 },
      cache_miss: { count: 0, ns: 0 },
    },
    batch_stats: [],
  };
}

function duration({ count, ns }: { readonly count: number; readonly ns: number }) {
  return { count, ns: Math.round(ns) };
}

function tensorMetadata({ name, type, dims }: TensorSpec) {
  return { name, datatype: datatypeOf(type), shape: dims };
}

function tensorConfiguration({ name, type, dims }: TensorSpec) {
  return { name, data_type: type === 'string' ? 'TYPE_STRING' : `TYPE_${datatypeOf(type)}`, dims };
}

import type { ModelStatistics, ServedModel, TensorSpec } from '../../contracts/inference.ts';
import type { Datatype } from '../../protocols/open-inference/datatypes.ts';
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

/** Model configuration as Triton has it; `max_batch_size` 0 says that the shapes are whole, batch included. */
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
 * A model's statistics. andon measures a run as a whole: copying tensors in and out is within `compute_infer`, and the
 * two stages beside it count the same runs with no time of their own.
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
  return { name, data_type: configurationType(datatypeOf(type)), dims };
}

/** The configuration has its own names, of which only that of text is another word. */
function configurationType(datatype: Datatype): string {
  return datatype === 'BYTES' ? 'TYPE_STRING' : `TYPE_${datatype}`;
}

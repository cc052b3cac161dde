import type { Deps } from '../../platform/deps.ts';
import { memoryBudget } from './memory-budget.ts';
import { TensorCodec } from './tensor-codec.ts';
import { v2Failure } from './v2-errors.ts';
import { v2Metrics } from './v2-metrics.ts';

/** Requests of the largest size that may be in progress together. */
const LARGEST_BODIES_MAX = 8;

/** Resources that the requests over HTTP and gRPC share. The owner disposes the codec. */
export type RequestResources = {
  readonly codec: TensorCodec;
  /** Reserves memory, and returns a function that releases it once. @throws {OperatingError} 'infer-busy' */
  readonly takeMemory: (bytes: number) => () => void;
};

/** @param codecEntry URL of hosts/tensor-codec.ts. @param bodyBytesMax Largest body of a request. */
export function requestResources(codecEntry: URL, bodyBytesMax: number, deps: Deps): RequestResources {
  const { andon_http_infer_bytes: bytes } = deps.metrics.of(v2Metrics);
  return {
    codec: new TensorCodec({ entry: codecEntry, bodyBytesMax, deps }),
    takeMemory: memoryBudget(bodyBytesMax * LARGEST_BODIES_MAX, bytes, (used) =>
      v2Failure('infer-busy', `Requests in progress use ${used}`),
    ),
  };
}

import type { MetricCatalogue } from '../../platform/metrics.ts';

/**
 * The counters by which dashboards and load generators for inference servers look, under their names there.
 *
 * @see https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/metrics.html
 */
export const nvInferenceMetrics = {
  nv_inference_request_success: {
    type: 'counter',
    help: 'Requests answered, of watches and clients.',
    labels: ['model', 'version'],
  },
  nv_inference_request_failure: { type: 'counter', help: 'Requests that failed.', labels: ['model', 'version'] },
  nv_inference_count: {
    type: 'counter',
    help: 'Rows judged; a batch of n counts n.',
    labels: ['model', 'version'],
  },
  nv_inference_exec_count: {
    type: 'counter',
    help: 'Runs of the model; a batch counts once.',
    labels: ['model', 'version'],
  },
  nv_inference_request_duration_us: {
    type: 'counter',
    help: 'Time of all requests from being asked to the answer, in microseconds.',
    labels: ['model', 'version'],
  },
  nv_inference_queue_duration_us: {
    type: 'counter',
    help: 'Time that all requests waited for their run, in microseconds.',
    labels: ['model', 'version'],
  },
  nv_inference_compute_infer_duration_us: {
    type: 'counter',
    help: 'Time that the model itself ran for all requests, in microseconds.',
    labels: ['model', 'version'],
  },
} as const satisfies MetricCatalogue;

import { counter, type MetricCatalogue } from '../../platform/metrics.ts';

/**
 * The counters by which dashboards and load generators for inference servers look, under their names there.
 *
 * @see https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/metrics.html
 */
export const nvInferenceMetrics = {
  nv_inference_request_success: counter('Requests answered, of watches and clients.', ['model', 'version']),
  nv_inference_request_failure: { type: 'counter', help: 'Requests that failed.', labels: ['model', 'version'] },
  nv_inference_count: counter('Rows judged; a batch of n counts n.', ['model', 'version']),
  nv_inference_exec_count: counter('Runs of the model; a batch counts once.', ['model', 'version']),
  nv_inference_request_duration_us: counter('Time of all requests from arrival to answer, in microseconds.', [
    'model',
    'version',
  ]),
  nv_inference_queue_duration_us: counter('Time that all requests waited for their run, in microseconds.', [
    'model',
    'version',
  ]),
  nv_inference_compute_infer_duration_us: counter('Time that the model itself ran for all requests, in microseconds.', [
    'model',
    'version',
  ]),
} as const satisfies MetricCatalogue;

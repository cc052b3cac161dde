import type { MetricCatalogue } from '../../platform/metrics.ts';

export const v2Metrics = {
  andon_http_infer_bytes: {
    type: 'gauge',
    help: 'Bytes of memory that bodies of inference requests under way may take together.',
    labels: [],
  },
  andon_http_infer_refused_total: {
    type: 'counter',
    help: 'Inference requests that were not answered with a result, by the code of the error.',
    labels: ['code'],
  },
  andon_http_codec_restarts_total: {
    type: 'counter',
    help: 'Times that the thread which reads and writes large inference requests ended and was given up.',
    labels: [],
  },
} as const satisfies MetricCatalogue;

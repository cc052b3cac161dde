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
  andon_http_generations: {
    type: 'gauge',
    help: 'Generations of text under way, streamed or not.',
    labels: [],
  },
  andon_http_generation_bytes: {
    type: 'gauge',
    help: 'Bytes of memory that the largest steps of the generations under way take together.',
    labels: [],
  },
  andon_http_generations_total: {
    type: 'counter',
    help: 'Generations of text that ended, by how: end_token, max_tokens, model_limit, cancelled (the client left), stalled (it took nothing for 30 s), or the code of the error.',
    labels: ['outcome'],
  },
  andon_http_generated_tokens_total: {
    type: 'counter',
    help: 'Tokens written by generations of text, by model.',
    labels: ['model'],
  },
} as const satisfies MetricCatalogue;

import type { MetricCatalogue } from '../../platform/metrics.ts';

export const v2Metrics = {
  andon_http_infer_bytes: {
    type: 'gauge',
    help: 'Bytes of memory reserved for the bodies of inference requests in progress.',
    labels: [],
  },
  andon_http_infer_refused_total: {
    type: 'counter',
    help: 'Inference requests that failed, by error code.',
    labels: ['code'],
  },
  andon_http_codec_restarts_total: {
    type: 'counter',
    help: 'Ends of the thread that reads and writes large inference requests; the next such request starts it again.',
    labels: [],
  },
  andon_http_generations: {
    type: 'gauge',
    help: 'Text generations in progress, streamed or not.',
    labels: [],
  },
  andon_http_generation_bytes: {
    type: 'gauge',
    help: 'Bytes of memory that the largest steps of all generations in progress need together.',
    labels: [],
  },
  andon_http_generations_total: {
    type: 'counter',
    help: 'Ended text generations, by outcome: end_token, max_tokens, model_limit, cancelled (the client disconnected), stalled (it read nothing for 30 s), or the error code.',
    labels: ['outcome'],
  },
  andon_http_generated_tokens_total: {
    type: 'counter',
    help: 'Tokens written by text generations, by model.',
    labels: ['model'],
  },
} as const satisfies MetricCatalogue;

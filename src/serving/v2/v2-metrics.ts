import { counter, gauge, type MetricCatalogue } from '../../platform/metrics.ts';

export const v2Metrics = {
  andon_http_infer_bytes: gauge('Bytes of memory reserved for the bodies of inference requests in progress.'),
  andon_http_infer_refused_total: counter('Inference requests that failed, by error code.', ['code']),
  andon_http_codec_restarts_total: counter(
    'Ends of the thread that reads and writes large inference requests; the next such request starts it again.',
  ),
  andon_http_generations: gauge('Text generations in progress, streamed or not.'),
  andon_http_generation_bytes: gauge(
    'Bytes of memory that the largest steps of all generations in progress need together.',
  ),
  andon_http_generations_total: counter(
    'Ended text generations, by outcome: end_token, max_tokens, model_limit, cancelled (the client disconnected), stalled (it read nothing for 30 s), or the error code.',
    ['outcome'],
  ),
  andon_http_generated_tokens_total: counter('Tokens written by text generations, by model.', ['model']),
} as const satisfies MetricCatalogue;

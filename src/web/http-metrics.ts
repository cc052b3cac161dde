import { durationBuckets } from '../platform/metrics.ts';
import type { MetricCatalogue } from '../platform/metrics.ts';

export const httpMetrics = {
  andon_http_request_duration_seconds: {
    type: 'histogram',
    help: 'Time from a request to the end of its response, by route and status code.',
    labels: ['route', 'status'],
    buckets: durationBuckets,
  },
} as const satisfies MetricCatalogue;

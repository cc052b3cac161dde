import { durationBuckets, histogram, type MetricCatalogue } from '../platform/metrics.ts';

export const httpMetrics = {
  andon_http_request_duration_seconds: histogram(
    'Time from a request to the end of its response, by route and status code.',
    ['route', 'status'],
    durationBuckets,
  ),
} as const satisfies MetricCatalogue;

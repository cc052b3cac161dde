import { durationBuckets, gauge, histogram, type MetricCatalogue } from '../platform/metrics.ts';

export const httpMetrics = {
  andon_http_request_duration_seconds: histogram(
    'Time from a request to the end of its response, by route and status code.',
    ['route', 'status'],
    durationBuckets,
  ),
  andon_http_certificate_expiry_seconds: gauge('End of validity of the certificate of an endpoint, Unix time.', [
    'component',
  ]),
} as const satisfies MetricCatalogue;

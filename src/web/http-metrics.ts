import { counter, durationBuckets, gauge, histogram, type MetricCatalogue } from '../platform/metrics.ts';

export const httpMetrics = {
  andon_http_request_duration_seconds: histogram(
    'Time from a request to the end of its response, by route and status code.',
    ['route', 'status'],
    durationBuckets,
  ),
  andon_http_connections: gauge('Open connections of an HTTP endpoint, and of gRPC.'),
  andon_http_connections_refused_total: counter('Connections refused because all others had logged in.'),
  andon_http_connections_replaced_total: counter(
    'Connections without a login that were closed to make room for a new one.',
  ),
  andon_http_certificate_expiry_seconds: gauge('End of validity of the certificate of an endpoint, Unix time.', [
    'component',
  ]),
} as const satisfies MetricCatalogue;

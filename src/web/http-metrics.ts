import { durationBuckets } from '../platform/metrics.ts';
import type { MetricCatalogue } from '../platform/metrics.ts';

export const httpMetrics = {
  andon_http_request_duration_seconds: {
    type: 'histogram',
    help: 'Time from a request to the end of its answer, by route and status code.',
    labels: ['route', 'status'],
    buckets: durationBuckets,
  },
  andon_http_waiting_requests: {
    type: 'gauge',
    help: 'Requests that wait for a later turn of the event loop, so that they hold up no watch.',
    labels: [],
  },
  andon_http_event_clients: {
    type: 'gauge',
    help: 'Clients that listen to /api/v1/events.',
    labels: [],
  },
  andon_http_event_clients_dropped_total: {
    type: 'counter',
    help: 'Event clients disconnected because they read too slowly.',
    labels: [],
  },
} as const satisfies MetricCatalogue;

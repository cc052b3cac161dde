import type { MetricCatalogue } from '../platform/metrics.ts';

export const apiMetrics = {
  andon_http_waiting_requests: {
    type: 'gauge',
    help: 'Requests that wait for a later turn of the event loop, so that they do not delay monitoring.',
    labels: [],
  },
  andon_http_event_clients: {
    type: 'gauge',
    help: 'Clients connected to /api/v1/events.',
    labels: [],
  },
  andon_http_event_clients_dropped_total: {
    type: 'counter',
    help: 'Event clients disconnected because they read too slowly.',
    labels: [],
  },
} as const satisfies MetricCatalogue;

import { counter, gauge, type MetricCatalogue } from '../platform/metrics.ts';

export const apiMetrics = {
  andon_http_waiting_requests: gauge(
    'Requests that wait for a later turn of the event loop, so that they do not delay monitoring.',
  ),
  andon_http_event_clients: gauge('Clients connected to /api/v1/events.'),
  andon_http_event_clients_dropped_total: counter('Event clients disconnected because they read too slowly.'),
} as const satisfies MetricCatalogue;

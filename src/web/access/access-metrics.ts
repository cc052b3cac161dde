import { counter, gauge, type MetricCatalogue } from '../../platform/metrics.ts';

export const accessMetrics = {
  andon_http_logins_total: counter('Logins of users, by outcome: ok, failed, throttled.', ['outcome']),
  andon_http_denied_total: counter('Requests that were refused for lack of a login or a role, by error code.', [
    'code',
  ]),
  andon_http_sessions: gauge('Open sessions of users of the page.'),
} as const satisfies MetricCatalogue;

import { counter, gauge, type MetricCatalogue } from '../platform/metrics.ts';

export const notifyMetrics = {
  andon_notify_messages_total: counter('Messages that the service accepted.', ['channel']),
  andon_notify_failures_total: counter('Attempts that failed, by error code.', ['channel', 'code']),
  andon_notify_dropped_total: counter('Alarms in messages that the service refused permanently.', ['channel']),
  andon_notify_waiting: gauge('Alarms that wait to be sent: for the service, a shift, the cooldown or an escalation.', [
    'channel',
  ]),
} as const satisfies MetricCatalogue;

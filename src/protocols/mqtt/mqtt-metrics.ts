import type { MetricCatalogue } from '../../platform/metrics.ts';

/** `connection` is the component that owns it: `source/cell`, `uplink/cloud`, `publish`. */
export const mqttMetrics = {
  andon_mqtt_connected: {
    type: 'gauge',
    help: '1 while the broker has accepted the login.',
    labels: ['connection'],
  },
  andon_mqtt_connection_attempts_total: {
    type: 'counter',
    help: 'Attempts to connect to the broker.',
    labels: ['connection'],
  },
  andon_mqtt_connection_losses_total: {
    type: 'counter',
    help: 'Attempts that failed and connections that ended, by the code of their reason.',
    labels: ['connection', 'code'],
  },
  andon_mqtt_received_total: {
    type: 'counter',
    help: 'Messages received on subscribed topics.',
    labels: ['connection'],
  },
  andon_mqtt_published_total: {
    type: 'counter',
    help: 'Messages that the broker acknowledged, or with QoS 0 that were written.',
    labels: ['connection'],
  },
  andon_mqtt_publish_failures_total: {
    type: 'counter',
    help: 'Messages that were not acknowledged, by the code of their error.',
    labels: ['connection', 'code'],
  },
  andon_mqtt_in_flight: {
    type: 'gauge',
    help: 'Messages handed over and not acknowledged yet.',
    labels: ['connection'],
  },
} as const satisfies MetricCatalogue;

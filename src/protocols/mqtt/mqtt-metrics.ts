import type { MetricCatalogue } from '../../platform/metrics.ts';

/** `connection` is the component that owns the connection: `source/cell`, `uplink/cloud`, `publish`. */
export const mqttMetrics = {
  andon_mqtt_connected: {
    type: 'gauge',
    help: '1 while connected: the broker accepted the login.',
    labels: ['connection'],
  },
  andon_mqtt_connection_attempts_total: {
    type: 'counter',
    help: 'Attempts to connect to the broker.',
    labels: ['connection'],
  },
  andon_mqtt_connection_losses_total: {
    type: 'counter',
    help: 'Failed attempts and ended connections, by error code.',
    labels: ['connection', 'code'],
  },
  andon_mqtt_received_total: {
    type: 'counter',
    help: 'Messages received on subscribed topics.',
    labels: ['connection'],
  },
  andon_mqtt_published_total: {
    type: 'counter',
    help: 'Messages acknowledged by the broker, or written with QoS 0.',
    labels: ['connection'],
  },
  andon_mqtt_publish_failures_total: {
    type: 'counter',
    help: 'Messages that were not acknowledged, by error code.',
    labels: ['connection', 'code'],
  },
  andon_mqtt_in_flight: {
    type: 'gauge',
    help: 'Messages sent and not acknowledged yet.',
    labels: ['connection'],
  },
} as const satisfies MetricCatalogue;

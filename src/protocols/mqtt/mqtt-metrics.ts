import { counter, gauge, type MetricCatalogue } from '../../platform/metrics.ts';

/** `connection` is the component that owns the connection: `source/cell`, `uplink/cloud`, `publish`. */
export const mqttMetrics = {
  andon_mqtt_connected: gauge('1 while connected: the broker accepted the login.', ['connection']),
  andon_mqtt_connection_attempts_total: counter('Attempts to connect to the broker.', ['connection']),
  andon_mqtt_connection_losses_total: counter('Failed attempts and ended connections, by error code.', [
    'connection',
    'code',
  ]),
  andon_mqtt_received_total: counter('Messages received on subscribed topics.', ['connection']),
  andon_mqtt_published_total: counter('Messages acknowledged by the broker, or written with QoS 0.', ['connection']),
  andon_mqtt_publish_failures_total: counter('Messages that were not acknowledged, by error code.', [
    'connection',
    'code',
  ]),
  andon_mqtt_in_flight: gauge('Messages sent and not acknowledged yet.', ['connection']),
} as const satisfies MetricCatalogue;

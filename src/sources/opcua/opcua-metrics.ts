import { counter, gauge, type MetricCatalogue } from '../../platform/metrics.ts';

export const opcuaMetrics = {
  andon_opcua_values_total: counter('Values that the server sent.', ['source']),
  andon_opcua_values_not_good_total: counter(
    'Received values that were not good, by quality reason: marked-not-good (by the server), payload-invalid, not-finite, precision-lost, time-in-future.',
    ['source', 'reason'],
  ),
  andon_opcua_queue_overflows_total: counter(
    'Values with the overflow bit: the server dropped values before them, because its queue was full. Raise queueSize.',
    ['source'],
  ),
  andon_opcua_connections_total: counter('Connections that were opened to the server.', ['source']),
  andon_opcua_connections_lost_total: counter(
    'Connections that ended, by reason: silent (no message for three publishing intervals), ended (by the server or the network), not-opened.',
    ['source', 'reason'],
  ),
  andon_opcua_nodes_refused: gauge('Nodes that the server refuses at present.', ['source']),
  andon_opcua_clock_skew_seconds: gauge("The server's clock minus the agent's.", ['source']),
  andon_opcua_certificate_expiry_seconds: gauge("Unix time at which andon's own certificate for the server expires.", [
    'source',
  ]),
} as const satisfies MetricCatalogue;

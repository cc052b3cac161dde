import { counter, gauge, type MetricCatalogue } from '../platform/metrics.ts';

export const outputMetrics = {
  andon_output_writes_total: counter('Values that a device or broker accepted, repetitions and blinking included.', [
    'output',
  ]),
  andon_output_write_failures_total: counter('Writes that failed and are repeated, by error code.', ['output', 'code']),
  andon_output_state: gauge('1 for what the output shows now: on, off or safe; 0 for the others.', ['output', 'show']),
  andon_output_records_lost_total: counter('Commands of which the outbox has no record.', ['output']),
} as const satisfies MetricCatalogue;

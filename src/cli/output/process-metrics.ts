import { counter, type MetricCatalogue } from '../../platform/metrics.ts';

/** Metrics of the process, in addition to those of the agent. */
export const processMetrics = {
  andon_log_lines_dropped_total: counter('Log lines dropped because the reader of the log did not read.'),
  andon_config_reloads_total: counter(
    'Reloads of the configuration: `applied`, `refused` because it is invalid, or `reverted` because a part failed.',
    ['outcome'],
  ),
} as const satisfies MetricCatalogue;

import { counter, type MetricCatalogue } from '../../platform/metrics.ts';

/** Metrics of the process, in addition to those of the agent. */
export const processMetrics = {
  andon_log_lines_dropped_total: counter('Log lines dropped because the reader of the log did not read.'),
  andon_config_reloads_total: counter(
    'Reloads of the configuration: `applied`, `refused` because it is invalid, `reverted` because a part failed, or `superseded` by a newer one before its parts were checked.',
    ['outcome'],
  ),
} as const satisfies MetricCatalogue;

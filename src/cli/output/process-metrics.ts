import { counter, type MetricCatalogue } from '../../platform/metrics.ts';

/** What the process itself counts, beside the agent in it. */
export const processMetrics = {
  andon_log_lines_dropped_total: counter('Log lines dropped because the reader of the log stood still.'),
  andon_config_reloads_total: counter(
    'Reloads of the configuration: `applied`, `refused` because it is invalid, or `reverted` because a part failed.',
    ['outcome'],
  ),
} as const satisfies MetricCatalogue;

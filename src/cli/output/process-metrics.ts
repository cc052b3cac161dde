import { counter, type MetricCatalogue } from '../../platform/metrics.ts';

/** What the process itself counts, beside the agent in it. */
export const processMetrics = {
  andon_log_lines_dropped_total: counter('Log lines dropped because the reader of the log stood still.'),
  andon_config_reloads_total: counter(
    'Times that SIGHUP was obeyed (`applied`) or the new configuration refused (`refused`).',
    ['outcome'],
  ),
} as const satisfies MetricCatalogue;

import type { MetricCatalogue } from '../../platform/metrics.ts';

/** What the process itself counts, beside the agent in it. */
export const processMetrics = {
  andon_log_lines_dropped_total: {
    type: 'counter',
    help: 'Log lines dropped because the reader of the log stood still.',
    labels: [],
  },
  andon_config_reloads_total: {
    type: 'counter',
    help: 'Times that SIGHUP was obeyed (`applied`) or the new configuration refused (`refused`).',
    labels: ['outcome'],
  },
} as const satisfies MetricCatalogue;

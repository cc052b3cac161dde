import { counter, type MetricCatalogue } from '../../platform/metrics.ts';

export const parquetMetrics = {
  andon_uplink_days_removed_total: counter(
    'Days of Parquet files that were removed for `maxSize` or `maxAge` of the folder.',
    ['uplink'],
  ),
} as const satisfies MetricCatalogue;

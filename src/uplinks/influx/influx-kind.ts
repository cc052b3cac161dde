import type { UplinkKind } from '../../contracts/uplink.ts';
import { type InfluxUplinkConfig, influxUplinkSchema } from './influx-config.ts';

/** Writes records as points in line protocol, to InfluxDB, VictoriaMetrics or Telegraf. */
export const influxUplinkKind: UplinkKind<InfluxUplinkConfig> = {
  type: 'influx',
  schema: influxUplinkSchema,
  load: async () => ({ create: (await import('./influx-uplink.ts')).createInfluxUplink }),
};

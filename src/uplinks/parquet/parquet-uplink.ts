import type { Uplink, UplinkContext } from '../../contracts/uplink.ts';
import { UplinkPump } from '../uplink-pump.ts';
import type { ParquetUplinkConfig } from './parquet-config.ts';
import { ParquetTransport } from './parquet-transport.ts';

/** Creates an uplink that writes Parquet files. */
export function createParquetUplink({ id, config, records, deps }: UplinkContext<ParquetUplinkConfig>): Uplink {
  const { fileMax, everyMs } = config;
  const batch = { recordsMax: fileMax.records, bytesMax: fileMax.bytes, lingerMs: everyMs };
  return new UplinkPump({
    id,
    config: { ...config, batch, values: 'names', order: 'oldest-first' },
    records,
    transport: new ParquetTransport(id, config, deps),
    inFlightMax: 1,
    deps,
  });
}

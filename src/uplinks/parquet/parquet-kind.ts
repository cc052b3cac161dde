import type { UplinkKind } from '../../contracts/uplink.ts';
import { type ParquetUplinkConfig, parquetUplinkSchema } from './parquet-config.ts';

/** Writes records into Parquet files, in a folder for each day. */
export const parquetUplinkKind: UplinkKind<ParquetUplinkConfig> = {
  type: 'parquet',
  schema: parquetUplinkSchema,
  load: async () => ({ create: (await import('./parquet-uplink.ts')).createParquetUplink }),
};

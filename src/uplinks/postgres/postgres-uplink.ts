import type { Uplink, UplinkContext } from '../../contracts/uplink.ts';
import { UplinkPump } from '../uplink-pump.ts';
import type { PostgresUplinkConfig } from './postgres-config.ts';
import { PostgresTransport } from './postgres-transport.ts';

/** Creates an uplink that stores records in a PostgreSQL database. */
export function createPostgresUplink({
  id,
  agentId,
  config,
  records,
  deps,
}: UplinkContext<PostgresUplinkConfig>): Uplink {
  const acknowledged = async () => {
    const { uplinks } = await records.stats();
    return uplinks.find(({ uplink }) => uplink === id)?.acknowledgedSequence ?? 0;
  };
  return new UplinkPump({
    id,
    config: { ...config, values: 'columns' },
    records,
    transport: new PostgresTransport({ id, agentId, config, acknowledged, deps }),
    inFlightMax: 1,
    deps,
  });
}

import type { Uplink, UplinkContext } from '../../contracts/uplink.ts';
import { UplinkPump } from '../uplink-pump.ts';
import type { NatsUplinkConfig } from './nats-config.ts';
import { NatsTransport } from './nats-transport.ts';

/** Creates an uplink that publishes batches of records to a JetStream stream. */
export function createNatsUplink({ id, agentId, config, records, deps }: UplinkContext<NatsUplinkConfig>): Uplink {
  const acknowledged = async () => {
    const { uplinks } = await records.stats();
    return uplinks.find(({ uplink }) => uplink === id)?.acknowledgedSequence ?? 0;
  };
  return new UplinkPump({
    id,
    config,
    records,
    transport: new NatsTransport({ name: `uplink/${id}`, agentId, config, acknowledged, deps }),
    inFlightMax: config.batchesInFlight,
    deps,
  });
}

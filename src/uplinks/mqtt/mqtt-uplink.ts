import type { Uplink, UplinkContext } from '../../contracts/uplink.ts';
import { UplinkPump } from '../uplink-pump.ts';
import type { MqttUplinkConfig } from './mqtt-uplink-config.ts';
import { MqttTransport } from './mqtt-transport.ts';

/** Creates an uplink that publishes batches of records. */
export function createMqttUplink({ id, agentId, config, records, deps }: UplinkContext<MqttUplinkConfig>): Uplink {
  return new UplinkPump({
    id,
    config,
    records,
    transport: new MqttTransport(id, { ...config, topic: config.topic ?? `andon/v1/${agentId}/records` }, deps),
    inFlightMax: config.batchesInFlight,
    deps,
  });
}

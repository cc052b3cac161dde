import type { Uplink, UplinkContext } from '../../contracts/uplink.ts';
import { UplinkPump } from '../uplink-pump.ts';
import type { HttpUplinkConfig } from './http-config.ts';
import { HttpTransport } from './http-transport.ts';

/** Creates an uplink that posts batches of records to a URL. */
export function createHttpUplink({ id, agentId, config, records, deps }: UplinkContext<HttpUplinkConfig>): Uplink {
  // One request at a time: two on two connections could arrive in the wrong order.
  return new UplinkPump({
    id,
    config,
    records,
    transport: new HttpTransport(agentId, config, deps),
    inFlightMax: 1,
    deps,
  });
}

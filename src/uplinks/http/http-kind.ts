import type { UplinkKind } from '../../contracts/uplink.ts';
import { UplinkPump } from '../uplink-pump.ts';
import { type HttpUplinkConfig, httpUplinkSchema } from './http-config.ts';
import { HttpTransport } from './http-transport.ts';

/** Posts batches of records to a URL; a 2xx acknowledges them. */
export const httpUplinkKind: UplinkKind<HttpUplinkConfig> = {
  type: 'http',
  schema: httpUplinkSchema,
  create: ({ id, agentId, config, records, deps }) =>
    // One request at a time: two on two connections could arrive in the wrong order.
    new UplinkPump({ id, config, records, transport: new HttpTransport(agentId, config, deps), inFlightMax: 1, deps }),
};

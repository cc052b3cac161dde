import type { UplinkKind } from '../../contracts/uplink.ts';
import { type HttpUplinkConfig, httpUplinkSchema } from './http-config.ts';

/** Posts batches of records to a URL; a 2xx acknowledges them. */
export const httpUplinkKind: UplinkKind<HttpUplinkConfig> = {
  type: 'http',
  schema: httpUplinkSchema,
  load: async () => ({ create: (await import('./http-uplink.ts')).createHttpUplink }),
};

import type { UplinkKind } from '../../contracts/uplink.ts';
import { type NatsUplinkConfig, natsUplinkSchema } from './nats-config.ts';

/** Publishes batches of records to a JetStream stream; its acknowledgement acknowledges them. */
export const natsUplinkKind: UplinkKind<NatsUplinkConfig> = {
  type: 'nats',
  schema: natsUplinkSchema,
  load: async () => ({ create: (await import('./nats-uplink.ts')).createNatsUplink }),
};

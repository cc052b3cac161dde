import type { UplinkKind } from '../../contracts/uplink.ts';
import { type MqttUplinkConfig, mqttUplinkSchema } from './mqtt-uplink-config.ts';

/** Publishes batches of records with QoS 1; the broker's PUBACK acknowledges them. */
export const mqttUplinkKind: UplinkKind<MqttUplinkConfig> = {
  type: 'mqtt',
  schema: mqttUplinkSchema,
  load: async () => ({ create: (await import('./mqtt-uplink.ts')).createMqttUplink }),
};

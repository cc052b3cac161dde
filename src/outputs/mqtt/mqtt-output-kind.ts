import type { OutputKind } from '../../contracts/outputs/output.ts';
import { type MqttOutputConfig, mqttOutputSchema } from './mqtt-output-config.ts';

/** Sends one command over MQTT. */
export const mqttOutputKind: OutputKind<MqttOutputConfig> = {
  type: 'mqtt',
  schema: mqttOutputSchema,
  load: async () => (await import('./mqtt-output.ts')).mqttOutputs(),
};

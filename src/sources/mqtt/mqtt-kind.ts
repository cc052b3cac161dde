import type { SourceKind } from '../../contracts/source.ts';
import type { MqttSourceConfig } from './mqtt-source-config.ts';
import { mqttSourceSchema, mqttTagDefinitions, mqttTagPatterns } from './mqtt-source-config.ts';
import { MqttSource } from './mqtt-source.ts';

/** Sources of type mqtt. The broker sends when it likes: there is no scan to plan. */
export const mqttKind: SourceKind<MqttSourceConfig> = {
  type: 'mqtt',
  schema: mqttSourceSchema,
  tags: mqttTagDefinitions,
  patterns: mqttTagPatterns,
  plan: () => [],
  create: (context) => new MqttSource(context),
};

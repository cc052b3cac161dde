import type { SourceKind } from '../../contracts/source.ts';
import { type MqttSourceConfig, mqttSourceSchema } from './mqtt-source-config.ts';
import { patternDefinitions, tagDefinitions } from '../tag-fields.ts';

/** Sources of type mqtt. The broker sends when it likes: there is no scan to plan. */
export const mqttKind: SourceKind<MqttSourceConfig> = {
  type: 'mqtt',
  schema: mqttSourceSchema,
  tags: tagDefinitions,
  patterns: patternDefinitions,
  plan: () => [],
  load: async () => {
    const { MqttSource } = await import('./mqtt-source.ts');
    return { create: (context) => new MqttSource(context) };
  },
};

import type { SourceKind } from '../../contracts/source.ts';
import { type MqttSourceConfig, mqttSourceSchema } from './mqtt-source-config.ts';
import type { TagDefinition } from '../../domain/sample/tag.ts';
import { patternDefinitions, tagRules } from '../tag-fields.ts';
import { waveformTags } from '../waveform-fields.ts';

/** Sources of type mqtt. The broker sends when it likes: there is no scan to plan. */
export const mqttKind: SourceKind<MqttSourceConfig> = {
  type: 'mqtt',
  schema: mqttSourceSchema,
  tags: definitionsOf,
  patterns: patternDefinitions,
  plan: () => [],
  load: async () => {
    const { MqttSource } = await import('./mqtt-source.ts');
    return { create: (context) => new MqttSource(context) };
  },
};

function definitionsOf({ tags }: MqttSourceConfig): readonly TagDefinition[] {
  return Object.entries(tags).flatMap(([name, tag]) =>
    tag.type === 'waveform' ? waveformTags(name, tag) : [{ name, ...tagRules(tag) }],
  );
}

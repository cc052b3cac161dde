import type { SourceKind } from '../../contracts/source.ts';
import { type SparkplugSourceConfig, sparkplugSourceSchema } from './sparkplug-source-config.ts';
import { patternDefinitions, tagDefinitions } from '../tag-fields.ts';

/**
 * Sources of type sparkplug. A kind of its own and no format of the mqtt kind: its topics are fixed, its tags are named
 * by metrics and not by topics, and what a message means depends on those before it.
 */
export const sparkplugKind: SourceKind<SparkplugSourceConfig> = {
  type: 'sparkplug',
  schema: sparkplugSourceSchema,
  tags: tagDefinitions,
  patterns: patternDefinitions,
  plan: () => [],
  load: async () => {
    const { SparkplugSource } = await import('./sparkplug-source.ts');
    return { create: (context) => new SparkplugSource(context) };
  },
};

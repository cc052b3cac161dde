import type { SourceKind } from '../../contracts/source.ts';
import { tagDefinitions } from '../tag-fields.ts';
import { type OpcuaSourceConfig, opcuaSourceSchema } from './opcua-config.ts';

/** Sources of type opcua. The server publishes changes: nothing is scanned. */
export const opcuaKind: SourceKind<OpcuaSourceConfig> = {
  type: 'opcua',
  schema: opcuaSourceSchema,
  tags: tagDefinitions,
  plan: () => [],
  load: async () => {
    const { OpcuaSource } = await import('./opcua-source.ts');
    return { create: (context) => new OpcuaSource(context) };
  },
};

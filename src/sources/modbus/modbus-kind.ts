import type { SourceKind } from '../../contracts/source.ts';
import type { TagDefinition } from '../../domain/sample/tag.ts';
import { tagRules } from '../tag-fields.ts';
import { type ModbusSourceConfig, modbusSourceSchema } from './plan/modbus-config.ts';
import { planScans } from './plan/scan-plan.ts';
import { tagNames } from './plan/tag-location.ts';

/** Reads Modbus devices; never writes to one. */
export const modbusKind: SourceKind<ModbusSourceConfig> = {
  type: 'modbus',
  schema: modbusSourceSchema,
  tags: tagDefinitions,
  plan: planScans,
  load: async () => {
    const { ModbusSource } = await import('./modbus-source.ts');
    return { create: (context) => new ModbusSource(context) };
  },
};

function tagDefinitions(config: ModbusSourceConfig): readonly TagDefinition[] {
  return Object.entries(config.tags).flatMap(([name, fields]) =>
    tagNames(name, fields).map((itsName) => ({ name: itsName, names: fields.names, ...tagRules(fields) })),
  );
}

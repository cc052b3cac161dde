import type { OutputKind } from '../../contracts/outputs/output.ts';
import { type ModbusOutputConfig, modbusOutputSchema } from './modbus-output-config.ts';

/** Writes one coil or register of a Modbus device. */
export const modbusOutputKind: OutputKind<ModbusOutputConfig> = {
  type: 'modbus',
  schema: modbusOutputSchema,
  load: async () => (await import('./modbus-output.ts')).modbusOutputs(),
};

import { endpointName, parseModbusUrl } from '../../protocols/modbus/modbus-url.ts';
import type { ModbusOutputConfig } from './modbus-output-config.ts';

/** Returns the address of an output, for a person: `coil 17 of unit 1 at 10.0.0.7:502`. */
export function modbusTarget({ url = '', unitId = 1, write }: ModbusOutputConfig): string {
  const place = write.coil === undefined ? `register ${write.register}` : `coil ${write.coil}`;
  return `${place} of unit ${unitId} at ${endpointName(parseModbusUrl(url))}`;
}

/** Returns an output with the address of its device: the address of its source, if it names one. */
export function withSource(
  output: ModbusOutputConfig,
  sources: Readonly<Record<string, { readonly url: string; readonly unitId?: number }>>,
): ModbusOutputConfig {
  const source = output.source === undefined ? undefined : sources[output.source];
  return source === undefined ? output : { ...output, url: source.url, unitId: output.unitId ?? source.unitId };
}

import type { AgentConfig } from '../config/config-schema.ts';
import type { OutputConfig } from '../config/kinds.ts';
import { withSource } from '../outputs/modbus/modbus-target.ts';

/** Returns the outputs, each with the address of the device that it writes to. */
export function outputSettings({ outputs, sources }: AgentConfig): Readonly<Record<string, OutputConfig>> {
  const devices = Object.fromEntries(
    Object.entries(sources).flatMap(([id, source]) => (source.type === 'modbus' ? [[id, source] as const] : [])),
  );
  return Object.fromEntries(
    Object.entries(outputs).map(([id, output]) => [
      id,
      output.type === 'modbus' ? withSource(output, devices) : output,
    ]),
  );
}

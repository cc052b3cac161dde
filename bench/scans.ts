import { tmpdir } from 'node:os';
import ModbusRTU from 'modbus-serial';
import { modbusSourceSchema } from '../src/sources/modbus/plan/modbus-config.ts';
import { ModbusSource } from '../src/sources/modbus/modbus-source.ts';
import { benchDeps, rateOf, rateOfSteps } from './part-rate.ts';
import type { PartOptions } from './part-options.ts';
import { deviceTags } from './subject.ts';
import { READS, REGISTERS_PER_READ } from './workload.ts';

/** Measures scans per second of a Modbus source without a pause: read, checked, decoded, stamped. */
export async function scansAgent(options: PartOptions): Promise<number> {
  return scansWith(1, options);
}

/** The same with all requests of a scan in flight. */
export async function scansTogether(options: PartOptions): Promise<number> {
  return scansWith(READS, options);
}

async function scansWith(requestsInFlight: number, { devicePorts, measureMs }: PartOptions): Promise<number> {
  const config = modbusSourceSchema.parse({
    type: 'modbus',
    url: `tcp://127.0.0.1:${devicePorts[0]}`,
    scanInterval: '0s',
    requestsInFlight,
    tags: deviceTags(1),
  });
  const tagNumbers = new Map(Object.keys(config.tags).map((name, number) => [name, number]));
  let scans = 0;
  const context = {
    id: 'device',
    config,
    tagNumbers,
    bindTag: () => 'too-many' as const,
    stateFolder: tmpdir(),
    sink: { accept: () => void (scans += 1) },
    history: { add: () => undefined, stored: () => Promise.resolve() },
    deps: benchDeps(),
  };
  await using source = new ModbusSource(context);
  source.start();
  return await rateOf(() => scans, measureMs);
}

/** Reads the same registers with modbus-serial, one read after another, without decoding. */
export async function scansLimit({ devicePorts: [devicePort = 0], measureMs }: PartOptions): Promise<number> {
  const modbus = new ModbusRTU.default();
  await modbus.connectTCP('127.0.0.1', { port: devicePort });
  modbus.setTimeout(1000);
  return rateOfSteps(async () => {
    for (let read = 0; read < READS; read += 1)
      await modbus.readHoldingRegisters(read * REGISTERS_PER_READ, REGISTERS_PER_READ);
    return 1;
  }, measureMs);
}

import { once } from 'node:events';
import { ServerTCP } from 'modbus-serial';
import { expect, test } from 'vitest';
import { ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';

/*
 * An independent server: it has its own implementation of the four reads, the bit order of coils and exceptions.
 */
test('modbus-serial as the device is read the way it serves', async () => {
  const float = Buffer.alloc(4);
  float.writeFloatBE(-12.25);
  const holding = [float.readUInt16BE(0), float.readUInt16BE(2), 0xfff6];
  const written: number[] = [];
  const server = new ServerTCP(
    {
      getHoldingRegister: (address: number) => holding[address] ?? 0,
      getInputRegister: (address: number) => 1000 + address,
      getCoil: (address: number) => address % 3 === 0,
      getDiscreteInput: (address: number) => address % 2 === 1,
      setRegister: (address: number) => void written.push(address),
      setCoil: (address: number) => void written.push(address),
    },
    { host: '127.0.0.1', port: 0, unitID: 7 },
  );
  await once(server, 'initialized');
  const { port } = addressOf(server);
  const bit = { type: 'bool' } as const;
  await using plc = ModbusSourceFixture.start({
    url: `tcp://127.0.0.1:${port}`,
    unitId: 7,
    scanInterval: '50ms',
    tags: {
      pressure: { register: 'holding', address: 0, type: 'float32' },
      level: { register: 'holding', address: 2, type: 'int16', scale: 0.5 },
      count: { register: 'input', address: 40, type: 'uint16' },
      coil9: { ...bit, register: 'coil', address: 9 },
      coil10: { ...bit, register: 'coil', address: 10 },
      input21: { ...bit, register: 'discrete', address: 21 },
      input22: { ...bit, register: 'discrete', address: 22 },
    },
  });
  const scan = plc.show(await plc.sink.next());
  await new Promise<void>((resolve) => server.close(() => resolve()));
  expect(scan).toEqual({ pressure: -12.25, level: -5, count: 1040, coil9: 1, coil10: 0, input21: 1, input22: 0 });
  expect(written).toEqual([]);
});

/** The library keeps its listening socket to itself in its types. */
function addressOf(server: ServerTCP): { readonly port: number } {
  const listening: unknown = Reflect.get(server, '_server');
  if (typeof listening !== 'object' || listening === null) throw new Error('modbus-serial has no listening socket');
  const address: unknown = Reflect.apply(Reflect.get(listening, 'address'), listening, []);
  if (typeof address !== 'object' || address === null || !('port' in address) || typeof address.port !== 'number')
    throw new Error('modbus-serial does not listen');
  return { port: address.port };
}

import { describe, expect, test } from 'vitest';
import { modbusKind } from '../../../src/sources/modbus/modbus-kind.ts';
import { ModbusRawServer } from '../../support/modbus-raw-server.ts';
import { ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';

const quick = { scanInterval: '20ms', timeout: '500ms' };
const holding = 'holding' as const;

/** A device of Enron or Daniel: registers 3001–3999 have 16 bits, 5001–5999 and 7001–7999 have 32. */
async function flowComputer(words: ReadonlyMap<number, number>): Promise<ModbusRawServer> {
  const device = await ModbusRawServer.listen();
  device.faults.mutate = (answer, { address, count }) => {
    if (address < 5000) return undefined;
    const data = Buffer.alloc(count * 4);
    for (let index = 0; index < count; index += 1) data.writeUInt32BE(words.get(address + index) ?? 0, index * 4);
    const header = Buffer.from(answer.subarray(0, 9));
    header.writeUInt16BE(3 + data.length, 4);
    header.writeUInt8(data.length, 8);
    return [Buffer.concat([header, data])];
  };
  return device;
}

describe('registers of 32 bits', () => {
  const float = Buffer.alloc(4);
  float.writeFloatBE(21.5);
  const words = new Map([
    [5001, 123_456_789],
    [5002, 0xff_ff_ff_fe],
    [7001, float.readUInt32BE(0)],
    [7010, 0x12_34_56_78],
    [7011, 0x9a_bc_de_f0],
  ]);
  const wide = { register: holding, registerBits: 32 } as const;

  test('are read with 4 bytes for each address, next to registers of 16 bits', async () => {
    await using device = await flowComputer(words);
    device.registers[3001] = 42;
    await using plc = ModbusSourceFixture.start({
      ...quick,
      invalid: 'none',
      url: device.url,
      tags: {
        short: { register: holding, address: 3001, type: 'int16' },
        total: { ...wide, address: 5001, type: 'uint32' },
        signed: { ...wide, address: 5002, type: 'int32' },
        rate: { ...wide, address: 7001, type: 'float32' },
        long: { ...wide, address: 7010, type: 'bytes', length: 8 },
      },
    });
    const shown = plc.show(await plc.sink.next());
    expect(shown).toMatchObject({ short: 42, total: 123_456_789, signed: -2, rate: 21.5 });
    expect(plc.sink.texts.get(plc.number('long'))).toBe('123456789abcdef0');
    expect(device.requests.slice(0, 3).map(({ address, count }) => [address, count])).toEqual([
      [3001, 1],
      [5001, 2],
      [7001, 11],
    ]);
  });

  test('are at most 62 in a response, and hold no smaller values', () => {
    const tags = Object.fromEntries(
      Array.from({ length: 70 }, (_, index) => [`t${index}`, { ...wide, address: 5001 + index, type: 'uint32' }]),
    );
    const config = modbusKind.schema.parse({ type: 'modbus', url: 'tcp://10.0.0.7', tags });
    expect(modbusKind.plan('plc', config)[0]?.requests.map(({ count }) => count)).toEqual([62, 8]);
    const narrow = {
      type: 'modbus',
      url: 'tcp://10.0.0.7',
      registerBits: 32,
      tags: { a: { register: holding, address: 1, type: 'int16' } },
    };
    expect(modbusKind.schema.safeParse(narrow).error?.issues[0]?.message).toContain(
      'does not fill a register of 32 bits',
    );
  });
});

test('a string may have one character in each register, in either half', async () => {
  await using device = await ModbusRawServer.listen();
  device.registers.set([0x0050, 0x0055, 0x004d, 0x0050, 0], 0);
  device.registers.set([0x5000, 0x5500, 0x4d00, 0x5000], 10);
  const text = { register: holding, type: 'string', length: 4 } as const;
  await using plc = ModbusSourceFixture.start({
    ...quick,
    url: device.url,
    tags: {
      low: { ...text, address: 0, byte: 'low' },
      high: { ...text, address: 10, byte: 'high' },
      swapped: { ...text, address: 10, byte: 'low', byteOrder: 'BADC' },
      raw: { register: holding, address: 10, type: 'bytes', length: 3 },
    },
  });
  await plc.sink.next();
  const shown = ['low', 'high', 'swapped', 'raw'].map((name) => plc.sink.texts.get(plc.number(name)));
  expect(shown).toEqual(['PUMP', 'PUMP', 'PUMP', '500055']);
});

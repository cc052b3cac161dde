import { describe, expect, test } from 'vitest';
import { GOOD } from '../../../src/domain/sample/quality.ts';
import { SampleBatch } from '../../../src/domain/sample/sample-batch.ts';
import { TagTable } from '../../../src/pipeline/tag-table.ts';
import { agentTags } from '../../../src/config/config-tags.ts';
import { modbusKind } from '../../../src/sources/modbus/modbus-kind.ts';
import { decodeText, textCode } from '../../../src/sources/modbus/frame/register-text.ts';
import { ModbusRawServer } from '../../support/modbus-raw-server.ts';
import { type ModbusConfigInput, ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';

const quick = { scanInterval: '20ms', timeout: '500ms' };

/** `path: message` of every problem. */
function problems(tag: object, more: object = {}): readonly string[] {
  const source = { type: 'modbus', url: 'tcp://10.0.0.7', ...more, tags: { tag } };
  const result = modbusKind.schema.safeParse(source);
  return result.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];
}

async function readOnce(device: ModbusRawServer, input: Omit<ModbusConfigInput, 'url'>): Promise<object> {
  await using plc = ModbusSourceFixture.start({ ...quick, ...input, url: device.url });
  return plc.show(await plc.sink.next());
}

describe('values smaller than a register', () => {
  test('are its high or low byte, also if the device swaps bytes', async () => {
    await using device = await ModbusRawServer.listen();
    device.registers[3] = 0x80_7f;
    const at = { register: 'holding', address: 3 } as const;
    expect(
      await readOnce(device, {
        tags: {
          low: { ...at, type: 'int8' },
          high: { ...at, type: 'int8', byte: 'high' },
          unsigned: { ...at, type: 'uint8', byte: 'high' },
          swapped: { ...at, type: 'uint8', byteOrder: 'BADC' },
          'swapped-high': { ...at, type: 'uint8', byteOrder: 'BADC', byte: 'high' },
          bit: { ...at, type: 'bool', bit: 15 },
        },
      }),
    ).toEqual({ low: 127, high: -128, unsigned: 128, swapped: 128, 'swapped-high': 127, bit: 1 });
  });
});

describe('an array', () => {
  test('makes a tag of each element, in as few reads as can be', async () => {
    await using device = await ModbusRawServer.listen();
    device.registers.set([10, 20, 30, 40]);
    const input = { tags: { zone: { register: 'input', address: 0, type: 'int16', count: 4, scale: 0.1 } } } as const;
    expect(await readOnce(device, input)).toEqual({ 'zone[0]': 1, 'zone[1]': 2, 'zone[2]': 3, 'zone[3]': 4 });
    expect(device.requests[0]).toMatchObject({ functionCode: 4, address: 0, count: 4 });
  });
});

test('a decimal scale gives the decimal value', async () => {
  await using device = await ModbusRawServer.listen();
  device.registers.set([101, 4217, 3]);
  const tag = (address: number, scale: number) => ({ register: 'holding', address, type: 'uint16', scale }) as const;
  const shown = await readOnce(device, { tags: { a: tag(0, 0.1), b: tag(1, 0.1), c: tag(2, 0.01), d: tag(2, 1.5) } });
  expect(shown).toEqual({ a: 10.1, b: 421.7, c: 0.03, d: 4.5 });
});

describe('addresses as manuals number them', () => {
  test('are found from their first digit, or count from addressBase', async () => {
    await using device = await ModbusRawServer.listen();
    device.registers[100] = 7;
    device.bits[100] = 1;
    const type = 'uint16';
    const shown = await readOnce(device, {
      addressBase: 1,
      tags: {
        base: { register: 'holding', address: 101, type },
        five: { address: 40_101, type },
        six: { address: 400_101, type },
        input: { address: 30_101, type },
        discrete: { address: 10_101, type: 'bool' },
        coil: { register: 'coil', address: 101, type: 'bool' },
      },
    });
    expect(shown).toEqual({ base: 7, five: 7, six: 7, input: 7, discrete: 1, coil: 1 });
    expect(new Set(device.requests.map(({ address }) => address))).toEqual(new Set([100]));
  });

  test('without a valid location are reported', () => {
    const where = 'without a register it is the number of a manual';
    expect(problems({ address: 12, type: 'int16' })).toEqual([expect.stringContaining(where)]);
    expect(problems({ address: 40_000, type: 'int16' })).toEqual([expect.stringContaining(where)]);
    expect(problems({ address: 465_536, type: 'float32' })).toEqual([
      'tags.tag.address: a float32 takes 2 registers, and 65535 is the last',
    ]);
    expect(problems({ register: 'holding', address: 0, type: 'int16' }, { addressBase: 1 })).toEqual([
      'tags.tag.address: addresses count from 1 here',
    ]);
    expect(problems({ address: 10_001, type: 'int16' })).toEqual([
      'tags.tag.type: 10001 is a discrete, which is a bool, not a int16',
    ]);
  });
});

describe('text in registers', () => {
  test.each([
    ['high byte first', { lowByteFirst: false }, 'PUMP-7\0x', 'PUMP-7'],
    ['low byte first', { lowByteFirst: true }, 'UPPM7-x\0', 'PUMP-7'],
    ['blanks around it', { lowByteFirst: false }, '  A1    ', 'A1'],
    ['kept as it is', { lowByteFirst: false, trim: false }, ' A\0     ', ' A\0     '],
    ['in Latin 1', { lowByteFirst: false, encoding: 'latin1' }, 'K\xfchler  ', 'Kühler'],
  ] as const)('%s', (_, layout, wire, text) => {
    const bytes = Buffer.from(`__${wire}`, 'latin1');
    expect(decodeText(bytes, 2, { length: 8, encoding: 'utf8', trim: true, half: undefined, ...layout })).toBe(text);
  });

  test('travels as a number that is the same for the same text, and reaches people as it is', async () => {
    await using device = await ModbusRawServer.listen();
    const write = (text: string) => {
      const bytes = Buffer.alloc(8);
      bytes.write(text);
      for (let index = 0; index < 4; index += 1) device.registers[20 + index] = bytes.readUInt16BE(index * 2);
    };
    write('LOT-17');
    const tags = { lot: { register: 'holding', address: 20, type: 'string', length: 8 } } as const;
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url, tags });
    await plc.shows({ lot: textCode('LOT-17') });
    expect(plc.sink.texts.get(0)).toBe('LOT-17');
    write('LOT-18');
    await plc.shows({ lot: textCode('LOT-18') });
    expect(plc.sink.texts.get(0)).toBe('LOT-18');
    expect(textCode('LOT-17')).not.toBe(textCode('LOT-18'));
    expect(textCode('')).toBe(0);
  });

  test('that cannot be read is reported', () => {
    const text = { register: 'holding', address: 0, type: 'string', length: 8 };
    expect(problems(text)).toEqual([]);
    expect(problems({ ...text, length: undefined })).toEqual(['tags.tag.length: a string requires a length, in bytes']);
    expect(problems({ ...text, scale: 2 })).toEqual(['tags.tag.scale: a string cannot be scaled']);
    expect(problems({ ...text, type: 'int16' })).toEqual([
      'tags.tag.length: only a string has a length; for an array of int16 use count',
    ]);
    expect(problems({ ...text, length: 10 }, { maxRegistersPerRequest: 4 })).toEqual([
      'tags.tag.type: a string takes 5 registers, which are never split over two reads; maxRegistersPerRequest is 4',
    ]);
  });
});

test('an enumeration stays a number, and people see its name', () => {
  const source = modbusKind.schema.parse({
    type: 'modbus',
    url: 'tcp://10.0.0.7',
    tags: { state: { register: 'holding', address: 0, type: 'uint16', names: { 0: 'stopped', 1: 'running' } } },
  });
  const table = new TagTable(agentTags({ sources: { plc: source } }));
  const batch = new SampleBatch(1);
  batch.add(0, 1, 5, GOOD, 'none');
  table.update(batch, Uint8Array.of(1));
  expect(table.reading(0)).toMatchObject({ value: 1, text: 'running' });
});

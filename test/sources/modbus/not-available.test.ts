import { describe, expect, test } from 'vitest';
import { modbusKind } from '../../../src/sources/modbus/modbus-kind.ts';
import { codeText, notAvailableCodes } from '../../../src/sources/modbus/frame/not-available.ts';
import { ModbusRawServer } from '../../support/modbus-raw-server.ts';
import { ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';

const quick = { scanInterval: '20ms', timeout: '500ms' };
const holding = 'holding';

/** Registers that hold the codes and their neighbours. */
function serveCodes(registers: Uint16Array): void {
  registers.set([0x8000, 0x7fff, 0xffff, 0xfffe, 0, 0xffff]);
  registers.set([0x8000, 0], 10);
  registers.set([0x7fff, 0xffff], 12);
  registers.set([0xffff, 0xffff, 0xffff, 0xffff], 14);
  registers.set([0x8000, 0, 0, 0], 20);
  registers.set([0x7fc0, 0], 30);
}

const at = (address: number, type: string, more: object = {}) =>
  ({ register: holding, address, type, scale: 0.1, ...more }) as never;
const tags = {
  s16: at(0, 'int16'),
  s16max: at(1, 'int16'),
  u16: at(2, 'uint16'),
  u16below: at(3, 'uint16', { scale: 1 }),
  zero: at(4, 'uint16'),
  minusOne: at(5, 'int16', { scale: 1 }),
  s32: at(10, 'int32'),
  s32max: at(12, 'int32'),
  u32: at(14, 'uint32'),
  u64: at(14, 'uint64'),
  minusOne32: at(14, 'int32', { scale: 1 }),
  s64: at(20, 'int64'),
  f32: at(30, 'float32'),
  byte: at(2, 'uint8', { scale: 1 }),
  bit: { register: holding, address: 2, type: 'bool', bit: 3 } as never,
  text: { register: holding, address: 4, type: 'string', length: 2 } as never,
};
const real = { u16below: 0xfffe, zero: 0, minusOne: -1, minusOne32: -1, byte: 255, bit: 1, text: 0 };
const suspect = 'uncertain not-available?';
const bad = 'bad not-available';

describe('a raw value that usually means "not available"', () => {
  test('is uncertain without the key, and health names the tag and the key', async () => {
    await using device = await ModbusRawServer.listen();
    serveCodes(device.registers);
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url, tags });
    expect(plc.show(await plc.sink.next())).toEqual({
      ...real,
      text: expect.any(Number) as number,
      s16: suspect,
      s16max: suspect,
      u16: suspect,
      s32: suspect,
      s32max: suspect,
      u32: suspect,
      u64: suspect,
      s64: suspect,
      f32: 'bad not-finite',
    });
    await expect.poll(() => plc.health.status).toBe('degraded');
    expect(plc.health.reason).toMatch(
      /^s16, s16max, u16, s32, s32max and 3 more uncertain.*Set invalid: sunspec, sma, abb/,
    );
  });

  test.each([
    ['sunspec', { s16: bad, u16: bad, s32: bad, u32: bad, u64: bad, s64: bad, f32: bad, s16max: 3276.7 }],
    ['abb', { s16: -3276.8, s16max: bad, u16: bad, s32max: bad, u32: bad, u64: bad, f32: bad }],
    ['none', { s16: -3276.8, s16max: 3276.7, u16: 6553.5, u32: 429_496_729.5, f32: 'bad not-finite' }],
    [[0x8000, 'abb'], { s16: bad, s16max: bad, u16: bad, u16below: 0xfffe }],
    [0xfffe, { u16below: bad, u16: 6553.5 }],
  ] as const)('is as the key of the source states: %s', async (invalid, expected) => {
    await using device = await ModbusRawServer.listen();
    serveCodes(device.registers);
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url, invalid: invalid as never, tags });
    const shown = plc.show(await plc.sink.next());
    const rounded = Object.entries(shown).map(([name, value]) => [
      name,
      typeof value === 'number' ? Math.round(value * 10) / 10 : value,
    ]);
    expect(Object.fromEntries(rounded)).toMatchObject(expected);
  });

  test('is as the key of the tag states, and health is ok', async () => {
    await using device = await ModbusRawServer.listen();
    serveCodes(device.registers);
    await using plc = ModbusSourceFixture.start({
      ...quick,
      url: device.url,
      invalid: 'sunspec',
      tags: {
        s16: at(0, 'int16', { invalid: 'none' }),
        s16max: at(1, 'int16', { invalid: [0x7fff] }),
        u16: at(2, 'uint16'),
      },
    });
    const shown = plc.show(await plc.sink.next());
    expect(shown).toEqual({ s16: -3276.8, s16max: bad, u16: bad });
    expect(plc.health.status).toBe('ok');
  });

  test('is noted by the plan with the tag and the key', () => {
    const config = modbusKind.schema.parse({ type: 'modbus', url: 'tcp://10.0.0.7', tags });
    expect(modbusKind.plan('plc', config)[0]?.notes).toEqual([
      expect.stringMatching(
        /^s16, .* without invalid: the raw values 0x8000, 0x7FFF, 0xFFFF, 0x80000000, .*Set invalid: sunspec/,
      ),
    ]);
    const known = modbusKind.schema.parse({ type: 'modbus', url: 'tcp://10.0.0.7', invalid: 'sma', tags });
    expect(modbusKind.plan('plc', known)[0]?.notes).toEqual([]);
  });
});

test('a code that the type cannot have is a configuration error', () => {
  const problems = (tag: object) => {
    const source = { type: 'modbus', url: 'tcp://10.0.0.7', tags: { tag: { register: holding, address: 0, ...tag } } };
    return modbusKind.schema
      .safeParse(source)
      .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  };
  const wrong = (code: string, type: string) => [`tags.tag.invalid: ${code} is not a raw value of a ${type}`];
  expect(problems({ type: 'int16', invalid: 0x80000 })).toEqual(wrong('524288', 'int16'));
  expect(problems({ type: 'uint16', invalid: -1 })).toEqual(wrong('-1', 'uint16'));
  expect(problems({ type: 'bool', invalid: 'sunspec' })).toEqual(wrong('sunspec', 'bool'));
  expect(problems({ type: 'uint8', invalid: 'sma' })).toEqual(wrong('sma', 'uint8'));
  expect(problems({ type: 'string', length: 4, invalid: 0 })).toEqual(wrong('0', 'string'));
  expect(problems({ type: 'float32', invalid: [-9999, 3.4e38] })).toBeUndefined();
});

test('a code is shown as the device sends it', () => {
  const texts = (['int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64'] as const).map((type) =>
    notAvailableCodes(type, undefined).suspected.map((raw) => codeText(type, raw)),
  );
  expect(texts).toEqual([
    ['0x8000', '0x7FFF'],
    ['0xFFFF'],
    ['0x80000000', '0x7FFFFFFF'],
    ['0xFFFFFFFF'],
    ['0x8000000000000000', '0x7FFFFFFFFFFFFFFF'],
    ['0xFFFFFFFFFFFFFFFF'],
  ]);
});

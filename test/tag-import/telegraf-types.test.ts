import { describe, expect, test } from 'vitest';
import { readTelegraf } from '../../src/tag-import/telegraf.ts';
import type { TagImport } from '../../src/tag-import/imported-tags.ts';
import { findingsOf } from '../support/imported-values.ts';
import { ModbusRawServer } from '../support/modbus-raw-server.ts';
import { type ModbusConfigInput, ModbusSourceFixture } from '../support/modbus-source-fixture.ts';

/*
 * Every type, byte order, scale and output that Telegraf accepts, in its own notation, read from a device. The reference
 * permutes the bytes by the letters of the order and decodes them with a DataView; it shares no code with andon.
 */

/** The first 8 bytes are the value of all numbers. Their text is printable, and INT16 is negative in two orders. */
const WIRE = Buffer.from([0x9d, 0x41, 0xc4, 0x34, 0x42, 0x58, 0x67, 0xbc]);
const orders = ['ABCD', 'CDAB', 'BADC', 'DCBA'] as const;
type Order = (typeof orders)[number];
/** Names of the orders by size in bytes, as in Telegraf's register style. */
const orderNames: Readonly<Record<Order, Readonly<Record<number, string>>>> = {
  ABCD: { 2: 'AB', 4: 'ABCD', 8: 'ABCDEFGH' },
  CDAB: { 2: 'AB', 4: 'CDAB', 8: 'GHEFCDAB' },
  BADC: { 2: 'BA', 4: 'BADC', 8: 'BADCFEHG' },
  DCBA: { 2: 'BA', 4: 'DCBA', 8: 'HGFEDCBA' },
};

/** Returns the bytes of a value, the most significant first. */
function inOrder(size: number, order: Order): DataView {
  const letters = orderNames[order][size] ?? '';
  const bytes = Array.from('ABCDEFGH'.slice(0, size), (letter) => WIRE[letters.indexOf(letter)] ?? 0);
  return new DataView(Uint8Array.from(bytes).buffer);
}

type NumberType = {
  readonly type: string;
  readonly size: number;
  readonly decode: (view: DataView) => number | bigint;
};
const bytes: readonly NumberType[] = [
  { type: 'INT8L', size: 2, decode: (view) => view.getInt8(1) },
  { type: 'INT8H', size: 2, decode: (view) => view.getInt8(0) },
  { type: 'UINT8L', size: 2, decode: (view) => view.getUint8(1) },
  { type: 'UINT8H', size: 2, decode: (view) => view.getUint8(0) },
];
const integers: readonly NumberType[] = [
  { type: 'INT16', size: 2, decode: (view) => view.getInt16(0) },
  { type: 'UINT16', size: 2, decode: (view) => view.getUint16(0) },
  { type: 'INT32', size: 4, decode: (view) => view.getInt32(0) },
  { type: 'UINT32', size: 4, decode: (view) => view.getUint32(0) },
  { type: 'INT64', size: 8, decode: (view) => view.getBigInt64(0) },
  { type: 'UINT64', size: 8, decode: (view) => view.getBigUint64(0) },
];
const floats: readonly NumberType[] = [
  { type: 'FLOAT16', size: 2, decode: (view) => half(view.getUint16(0)) },
  { type: 'FLOAT32', size: 4, decode: (view) => view.getFloat32(0) },
  { type: 'FLOAT64', size: 8, decode: (view) => view.getFloat64(0) },
];

/** IEEE 754 binary16, by its definition. */
function half(bits: number): number {
  const fraction = bits % 1024;
  const exponent = Math.floor(bits / 1024) % 32;
  const sign = bits >= 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign / 0 : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

type Case = NumberType & {
  readonly order: Order;
  readonly scale?: number;
  readonly output?: string;
};

const scales = [undefined, 0.1, 1, 10] as const;
/** Types, orders, scales and outputs of the request and metric styles. Telegraf has two orders for single bytes. */
const cases: readonly Case[] = [
  ...combined(bytes, ['ABCD', 'DCBA'], ['INT64', 'UINT64', 'FLOAT64']),
  ...combined(integers, orders, ['INT64', 'UINT64', 'FLOAT64']),
  ...combined(floats, orders, ['FLOAT64']),
];

function combined(types: readonly NumberType[], of: readonly Order[], outputs: readonly string[]): readonly Case[] {
  const variants = [...scales.map((scale) => ({ scale })), ...outputs.map((output) => ({ output }))];
  return types.flatMap((type) => of.flatMap((order) => variants.map((variant) => ({ ...type, order, ...variant }))));
}

function nameOf({ type, order, scale, output }: Case): string {
  return `${type} ${order} ${scale ?? 'plain'} ${output ?? 'native'}`;
}

/** The number that Telegraf writes for a case. */
function telegrafValue({ size, order, decode, scale, output }: Case): number {
  const value = decode(inOrder(size, order));
  if (output === 'UINT64' && value < 0) return Number(BigInt.asUintN(64, BigInt(value)));
  return Number(value) * (scale ?? 1);
}

/** Reads all imported tags once. @returns Value by name; also of samples that are uncertain. */
async function valuesOf(imported: TagImport, device: ModbusRawServer): Promise<ReadonlyMap<string, number | string>> {
  const tags = Object.fromEntries(imported.sources[0]?.tags ?? []);
  const input = {
    url: device.url,
    scanInterval: '50ms',
    invalid: 'none',
    tags,
  } as ModbusConfigInput;
  await using source = ModbusSourceFixture.start(input);
  const scan = await source.sink.next();
  return new Map(
    source.names.map((name) => {
      const number = source.number(name);
      return [name, source.sink.texts.get(number) ?? scan.get(number)?.value ?? 'missing'];
    }),
  );
}

async function deviceWith(wire: Buffer): Promise<ModbusRawServer> {
  const device = await ModbusRawServer.listen();
  for (let index = 0; index * 2 < wire.length; index += 1) device.registers[index] = wire.readUInt16BE(index * 2);
  return device;
}

const plugin = (style: string, more: string) =>
  `[[inputs.modbus]]\nname = "t"\ncontroller = "tcp://x:502"\nconfiguration_type = "${style}"\n${more}`;

describe.each(['request', 'metric'])('the types of Telegraf in the %s style', (style) => {
  test('are read in every byte order, with every scale and output', async () => {
    await using device = await deviceWith(WIRE);
    const blocks = orders.map((order) => {
      const fields = cases
        .filter((each) => each.order === order)
        .map((each) => {
          const scale = each.scale === undefined ? '' : `, scale=${each.scale.toFixed(1)}`;
          const output = each.output === undefined ? '' : `, output="${each.output}"`;
          return `{ address=0, name="${nameOf(each)}", type="${each.type}"${scale}${output} }`;
        });
      return `[[inputs.modbus.${style}]]\nslave_id = 1\nbyte_order = "${order}"\nfields = [\n${fields.join(',\n')}\n]\n`;
    });
    const imported = readTelegraf(plugin(style, blocks.join('')));
    expect(findingsOf(imported)).toEqual([]);
    const values = await valuesOf(imported, device);
    expect(cases).toHaveLength(284);
    const different: string[] = [];
    for (const each of cases) {
      const name = nameOf(each);
      const value = Number(values.get(`t.${name}`));
      const expected = telegrafValue(each);
      if (Math.abs(value - expected) > Math.abs(expected) * 1e-12 || Number.isNaN(value)) different.push(name);
    }
    // A negative number has no unsigned form: Telegraf writes its two's complement, andon the number.
    const negative = cases.filter(
      ({ size, order, decode, output }) => output === 'UINT64' && decode(inOrder(size, order)) < 0,
    );
    expect(different).toEqual(negative.map(nameOf));
    expect(negative.length).toBeGreaterThan(0);
  });
});

describe('the types of Telegraf in the register style', () => {
  const fixed = [
    ['FIXED', integers.filter(({ type }) => type.startsWith('INT'))],
    ['UFIXED', integers.filter(({ type }) => type.startsWith('UINT'))],
    // Its old name.
    ['FLOAT32', integers.filter(({ type }) => type.startsWith('UINT'))],
  ] as const;
  const fixedCases = fixed.flatMap(([type, sizes]) =>
    sizes.flatMap(({ size, decode }) => orders.map((order) => ({ type, size, decode, order, scale: 0.001 }))),
  );
  const ieeeCases = floats.flatMap((each) =>
    orders.map((order) => ({ ...each, type: `${each.type}-IEEE`, order, scale: 1 })),
  );
  const wholeCases = [...bytes, ...integers].flatMap((each) => orders.map((order) => ({ ...each, order, scale: 10 })));
  const all = [...fixedCases, ...ieeeCases, ...wholeCases];

  test('are read in every byte order and name of an order', async () => {
    await using device = await deviceWith(WIRE);
    const fields = all.map((each, index) => {
      const addresses = Array.from({ length: each.size / 2 }, (_, at) => at).join(', ');
      const order = orderNames[each.order][each.size];
      return `{ name = "n${index}", byte_order = "${order}", data_type = "${each.type}", scale = ${each.scale.toFixed(3)}, address = [${addresses}] },`;
    });
    const imported = readTelegraf(plugin('register', `slave_id = 1\nholding_registers = [\n${fields.join('\n')}\n]\n`));
    expect(findingsOf(imported)).toEqual([]);
    const values = await valuesOf(imported, device);
    expect(all).toHaveLength(88);
    for (const [index, each] of all.entries()) {
      const expected = Number(each.decode(inOrder(each.size, each.order))) * each.scale;
      expect([each.type, each.order, values.get(`t.n${index}`)]).toEqual([
        each.type,
        each.order,
        expect.closeTo(expected, -Math.log10(Math.abs(expected) * 1e-12)),
      ]);
    }
  });
});

test('bits and texts of Telegraf are read in every byte order', async () => {
  const text = Buffer.from('Andon 7\0');
  await using device = await deviceWith(Buffer.concat([WIRE, text]));
  const blocks = orders.map((order) => {
    const bits = Array.from(
      { length: 16 },
      (_, bit) => `{ address=0, name="bit ${order} ${bit}", type="BIT", bit=${bit} }`,
    );
    const fields = [...bits, `{ address=4, name="text ${order}", type="STRING", length=4 }`];
    return `[[inputs.modbus.metric]]\nslave_id = 1\nbyte_order = "${order}"\nfields = [\n${fields.join(',\n')}\n]\n`;
  });
  const values = await valuesOf(readTelegraf(plugin('metric', blocks.join(''))), device);
  const swapped = Buffer.from(text).swap16();
  for (const order of orders) {
    const word = inOrder(2, order).getUint16(0);
    const isSwapped = order === 'BADC' || order === 'DCBA';
    for (let bit = 0; bit < 16; bit += 1)
      expect([order, bit, values.get(`t.bit ${order} ${bit}`)]).toEqual([order, bit, Math.floor(word / 2 ** bit) % 2]);
    // andon ends a text at its first NUL.
    const shown = (isSwapped ? swapped : text).toString().split('\0')[0];
    expect([order, values.get(`t.text ${order}`)]).toEqual([order, shown]);
  }
});

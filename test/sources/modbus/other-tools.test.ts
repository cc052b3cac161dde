import { describe, expect, test } from 'vitest';
import { modbusKind } from '../../../src/sources/modbus/modbus-kind.ts';
import { ModbusRawServer } from '../../support/modbus-raw-server.ts';
import { ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';

/*
 * Types and byte orders of Telegraf, as the table in docs/modbus.md translates them. The reference decodes with a DataView
 * from bytes that are permuted by the letters of the order.
 */
const WIRE = Uint8Array.of(0x41, 0x9d, 0x6f, 0x34, 0xb2, 0x58, 0xe7, 0x1c);
const orders = ['ABCD', 'CDAB', 'BADC', 'DCBA'] as const;
const fullOrders = { ABCD: 'ABCDEFGH', CDAB: 'GHEFCDAB', BADC: 'BADCFEHG', DCBA: 'HGFEDCBA' } as const;
type Order = (typeof orders)[number];

/** The bytes of a value, the most significant first. */
function inOrder(size: number, order: Order): DataView {
  const letters =
    { 2: order.startsWith('A') || order.startsWith('C') ? 'AB' : 'BA', 4: order, 8: fullOrders[order] }[size] ?? '';
  const bytes = Array.from('ABCDEFGH'.slice(0, size), (letter) => WIRE[letters.indexOf(letter)] ?? 0);
  return new DataView(Uint8Array.from(bytes).buffer);
}

const numbers: readonly (readonly [telegraf: string, tag: object, size: number, decode: (view: DataView) => number])[] =
  [
    ['INT8L', { type: 'int8' }, 2, (view) => view.getInt8(1)],
    ['INT8H', { type: 'int8', byte: 'high' }, 2, (view) => view.getInt8(0)],
    ['UINT8L', { type: 'uint8' }, 2, (view) => view.getUint8(1)],
    ['UINT8H', { type: 'uint8', byte: 'high' }, 2, (view) => view.getUint8(0)],
    ['INT16', { type: 'int16' }, 2, (view) => view.getInt16(0)],
    ['UINT16', { type: 'uint16' }, 2, (view) => view.getUint16(0)],
    ['INT32', { type: 'int32' }, 4, (view) => view.getInt32(0)],
    ['UINT32', { type: 'uint32' }, 4, (view) => view.getUint32(0)],
    ['INT64', { type: 'int64' }, 8, (view) => Number(view.getBigInt64(0))],
    ['UINT64', { type: 'uint64' }, 8, (view) => Number(view.getBigUint64(0))],
    ['FLOAT32', { type: 'float32' }, 4, (view) => view.getFloat32(0)],
    ['FLOAT64', { type: 'float64' }, 8, (view) => view.getFloat64(0)],
  ];
const cases = numbers.flatMap(([telegraf, tag, size, decode]) =>
  orders.flatMap((order) => [1, 0.1].map((scale) => ({ telegraf, tag, size, decode, order, scale }))),
);

describe('types of Telegraf', () => {
  test('are read in every byte order, with and without a scale', async () => {
    await using device = await ModbusRawServer.listen();
    for (let index = 0; index < 4; index += 1)
      device.registers[index] = ((WIRE[index * 2] ?? 0) << 8) | (WIRE[index * 2 + 1] ?? 0);
    const tags = Object.fromEntries(
      cases.map(({ telegraf, tag, order, scale }) => [
        `${telegraf} ${order} ${scale}`,
        { register: 'holding', address: 0, byteOrder: order, scale, ...tag },
      ]),
    );
    await using plc = ModbusSourceFixture.start({
      url: device.url,
      scanInterval: '50ms',
      invalid: 'none',
      tags: tags as never,
    });
    const scan = await plc.sink.next();
    expect(cases).toHaveLength(96);
    for (const { telegraf, order, scale, size, decode } of cases) {
      const name = `${telegraf} ${order} ${scale}`;
      expect([name, scan.get(plc.number(name))?.value]).toEqual([
        name,
        decode(inOrder(size, order)) / (scale === 1 ? 1 : 10),
      ]);
    }
  });

  test('of 64 bits have the same names of byte orders', () => {
    const source = (byteOrder: string) => ({
      type: 'modbus',
      url: 'tcp://10.0.0.7',
      tags: { a: { register: 'holding', address: 0, type: 'int64', byteOrder } },
    });
    for (const order of Object.values(fullOrders))
      expect(modbusKind.schema.safeParse(source(order)).success).toBe(true);
  });
});

import { expect, test } from 'vitest';
import { ModbusRawServer } from '../../support/modbus-raw-server.ts';
import { type ModbusConfigInput, ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';

/*
 * Value types and swaps of EdgeX's device-modbus, as the table in docs/modbus.md translates them. EdgeX swaps values of 32 bits
 * only. The reference swaps bytes and words as EdgeX describes it, and decodes with a DataView.
 */
const WIRE = Uint8Array.of(0x9d, 0x41, 0xc4, 0x34, 0x42, 0x58, 0x67, 0xbc);
const swaps = [
  ['neither', 'ABCD', [0, 1, 2, 3]],
  ['isByteSwap', 'BADC', [1, 0, 3, 2]],
  ['isWordSwap', 'CDAB', [2, 3, 0, 1]],
  ['both', 'DCBA', [3, 2, 1, 0]],
] as const;

type Row = readonly [edgex: string, tag: object, value: number];
const plain = new DataView(WIRE.buffer);
const rows: readonly Row[] = [
  ['Int16', { type: 'int16' }, plain.getInt16(0)],
  ['Uint16', { type: 'uint16' }, plain.getUint16(0)],
  ['Int64', { type: 'int64' }, Number(plain.getBigInt64(0))],
  ['Uint64', { type: 'uint64' }, Number(plain.getBigUint64(0))],
  ['Float64', { type: 'float64' }, plain.getFloat64(0)],
  ['Float32 with rawType INT16', { type: 'int16' }, plain.getInt16(0)],
  ['Float64 with rawType UINT16', { type: 'uint16' }, plain.getUint16(0)],
  ['Bool of a coil', { register: 'coil', type: 'bool' }, 1],
  ['Bool of a discrete input', { register: 'discrete', type: 'bool' }, 1],
  ...swaps.flatMap(([name, byteOrder, places]): readonly Row[] => {
    const view = new DataView(Uint8Array.from(places, (place) => WIRE[place] ?? 0).buffer);
    return [
      [`Int32 with ${name}`, { type: 'int32', byteOrder }, view.getInt32(0)],
      [`Uint32 with ${name}`, { type: 'uint32', byteOrder }, view.getUint32(0)],
      [`Float32 with ${name}`, { type: 'float32', byteOrder }, view.getFloat32(0)],
    ];
  }),
];

test('types of EdgeX are read with every swap', async () => {
  await using device = await ModbusRawServer.listen();
  for (let index = 0; index < 4; index += 1) device.registers[index] = plain.getUint16(index * 2);
  device.bits[0] = 1;
  const tags = Object.fromEntries(rows.map(([name, tag]) => [name, { register: 'holding', address: 0, ...tag }]));
  const input = {
    url: device.url,
    scanInterval: '50ms',
    invalid: 'none',
    tags,
  } as ModbusConfigInput;
  await using plc = ModbusSourceFixture.start(input);
  const scan = await plc.sink.next();
  expect(rows).toHaveLength(21);
  const read = rows.map(([name]) => [name, scan.get(plc.number(name))?.value]);
  expect(read).toEqual(rows.map(([name, , value]) => [name, value]));
});

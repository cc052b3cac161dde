import { describe, expect, test } from 'vitest';
import { readNeuron } from '../../src/tag-import/neuron.ts';
import { findingsOf, readImported, tagsOf } from '../support/imported-values.ts';

/** Body of Neuron's API for adding tags. */
const tagList = (...tags: readonly object[]) => JSON.stringify({ node: 'plc', group: 'fast', tags }, undefined, 2);
const base = { addressBase: 1, byteOrder: 'ABCD' } as const;
const read = 1;

describe('a tag list of Neuron', () => {
  test.each([
    ['1!400001', 3, { register: 'holding', address: 0, type: 'int16' }],
    ['1!30002', 4, { register: 'input', address: 1, type: 'uint16' }],
    ['1!400001#B', 3, { register: 'holding', address: 0, type: 'int16', byteOrder: 'BADC' }],
    ['1!400001', 5, { register: 'holding', address: 0, type: 'int32' }],
    ['1!400001#LL', 6, { register: 'holding', address: 0, type: 'uint32' }],
    ['1!400001#LB', 9, { register: 'holding', address: 0, type: 'float32', byteOrder: 'BADC' }],
    ['1!400001#BL', 9, { register: 'holding', address: 0, type: 'float32', byteOrder: 'CDAB' }],
    ['1!400001#BB', 9, { register: 'holding', address: 0, type: 'float32', byteOrder: 'DCBA' }],
    ['1!400001#B', 10, { register: 'holding', address: 0, type: 'float64', byteOrder: 'DCBA' }],
    ['1!400001#L', 8, { register: 'holding', address: 0, type: 'uint64' }],
    ['1!400001', 7, { register: 'holding', address: 0, type: 'int64' }],
    ['1!400001.15', 11, { register: 'holding', address: 0, type: 'bool', bit: 15 }],
    ['1!000003', 11, { register: 'coil', address: 2, type: 'bool' }],
    ['1!100003', 12, { register: 'discrete', address: 2, type: 'bool' }],
    ['1!400001.20', 13, { register: 'holding', address: 0, type: 'string', length: 20 }],
    ['1!400001.20H', 13, { register: 'holding', address: 0, type: 'string', length: 20 }],
    ['1!400001.20L', 13, { register: 'holding', address: 0, type: 'string', length: 20, byteOrder: 'BADC' }],
    ['1!400001.10D', 13, { register: 'holding', address: 0, type: 'string', length: 10, byte: 'low' }],
    ['1!400001.10E', 13, { register: 'holding', address: 0, type: 'string', length: 10, byte: 'high' }],
    ['1!400001.8', 14, { register: 'holding', address: 0, type: 'bytes', length: 8 }],
    ['1!400001', 17, { register: 'holding', address: 0, type: 'uint32' }],
  ])('reads %s of type %s', (address, type, expected) => {
    const imported = readNeuron(tagList({ name: 'x', address, attribute: read, type }), base);
    expect([tagsOf(imported), findingsOf(imported)]).toEqual([{ 'plc.x': expected }, []]);
  });

  test('keeps decimal and bias as scale and offset', () => {
    const tag = { name: 'x', address: '1!400001', attribute: read, type: 3, decimal: 0.1, bias: -40, precision: 2 };
    expect(tagsOf(readNeuron(tagList(tag), base))).toEqual({
      'plc.x': { register: 'holding', address: 0, type: 'int16', scale: 0.1, offset: -40 },
    });
  });

  test('lists what has no equivalent, with its line', () => {
    const imported = readNeuron(
      tagList(
        { name: 'set', address: '1!400001', attribute: 2, type: 3 },
        { name: 'fixed', address: '1!400001', attribute: 9, type: 3, value: 7 },
        { name: 'array', address: '1!400001', attribute: read, type: 25 },
        { name: 's7', address: 'DB1.DBW4', attribute: read, type: 3 },
        { name: 'order', address: '1!400001#LB', attribute: read, type: 3 },
        { name: 'text', address: '1!400001', attribute: read, type: 13 },
      ),
      base,
    );
    expect(findingsOf(imported)).toEqual([
      '5 set: 2 (the tag is written only)',
      '11 fixed: static (the value is not in the device)',
      '18 array: type 25 (the type has no equivalent)',
      '24 s7: DB1.DBW4 (this is not an address of a Modbus device)',
      '30 order: #LB (int16 has no such byte order)',
      '36 text: 1!400001 (a text needs a length)',
    ]);
  });

  test('without the settings of the device leaves them open', () => {
    const tag = { name: 'x', address: '1!400001', attribute: read, type: 9 };
    expect(readNeuron(tagList(tag), {}).open.map(({ setting }) => setting)).toEqual(['byteOrder', 'addressBase']);
    expect(readNeuron(tagList({ ...tag, address: '1!400001#BL' }), {}).open.map(({ setting }) => setting)).toEqual([
      'addressBase',
    ]);
    expect(readNeuron(tagList({ ...tag, address: '1!400000#BL' }), {}).open).toEqual([]);
  });
});

describe('a configuration of Neuron', () => {
  const params = { connection_mode: 0, host: '10.0.0.7', port: 1502, timeout: 3000, interval: 20, max_retries: 2 };
  const tags = [
    { name: 'speed', address: '1!400001', attribute: read, type: 9 },
    { name: 'total', address: '1!400003', attribute: read, type: 8 },
  ];
  const speed = { register: 'holding', address: 0, type: 'float32', byteOrder: 'CDAB', scanInterval: '500ms' };
  const total = { register: 'holding', address: 2, type: 'uint64', byteOrder: 'DCBA', scanInterval: '500ms' };

  test('of drivers gives a source with its settings, and leaves nothing open', () => {
    const text = JSON.stringify({
      nodes: [
        {
          name: 'PLC 1',
          plugin: 'Modbus TCP',
          params: { ...params, endianess: 4, endianess_64: 3, address_base: 1 },
          groups: [{ group: 'fast', interval: 500, tags }],
        },
      ],
    });
    const { sources, open, findings } = readNeuron(text, {});
    expect(sources).toEqual([
      {
        id: 'plc-1',
        keys: { url: 'tcp://10.0.0.7:1502', timeout: '3000ms', retries: 2, pauseBetweenRequests: '20ms', unitId: 1 },
        tags: new Map([
          ['PLC 1.speed', speed],
          ['PLC 1.total', total],
        ]),
      },
    ]);
    expect([open, findings]).toEqual([[], []]);
  });

  test('of all nodes is read from its separate lists', () => {
    const text = JSON.stringify({
      nodes: [
        { plugin: 'MQTT', name: 'cloud' },
        { plugin: 'Modbus TCP', name: 'plc' },
      ],
      groups: [{ driver: 'plc', group: 'fast', tag_count: 2, interval: 500 }],
      tags: [{ tags, driver: 'plc', group: 'fast' }],
      subscriptions: [{ groups: [{ driver: 'plc', group: 'fast' }], app: 'cloud' }],
      settings: [
        { node: 'cloud', params: { 'client-id': 'x', host: 'b' } },
        { node: 'plc', params: { ...params, endianess: 4, endianess_64: 3, address_base: 1 } },
      ],
    });
    const { sources, open } = readNeuron(text, {});
    expect(sources.map(({ id, keys }) => [id, keys['url']])).toEqual([['plc', 'tcp://10.0.0.7:1502']]);
    expect(Object.fromEntries(sources[0]?.tags ?? [])).toEqual({ 'plc.speed': speed, 'plc.total': total });
    expect(open).toEqual([]);
  });

  test.each([
    [
      'Modbus TCP',
      { ...params, connection_mode: 1 },
      undefined,
      'the device connects to Neuron; andon connects to devices',
    ],
    ['Modbus RTU', { link: 1, host: 'gw', port: 4001 }, 'rtu+tcp://gw:4001', undefined],
    [
      'Modbus RTU',
      { link: 0, device: '/dev/ttyS1', baud: 3, parity: 2, stop: 0 },
      'serial:///dev/ttyS1?baudRate=19200&parity=even&stopBits=1',
      undefined,
    ],
  ])('%s %o is the device %s', (plugin, settings, url, problem) => {
    const node = {
      name: 'n',
      plugin,
      params: { ...settings, address_base: 1 },
      groups: [{ group: 'g', tags: [tags[0]] }],
    };
    const { sources, findings } = readNeuron(JSON.stringify({ nodes: [node] }), {});
    expect([sources[0]?.keys['url'], findings[0]?.reason]).toEqual([url, problem]);
  });

  test('several units of one device are several sources', () => {
    const text = tagList(
      { name: 'a', address: '1!400001', attribute: read, type: 3 },
      { name: 'a', address: '2!400001', attribute: read, type: 3 },
    );
    const { sources } = readNeuron(text, base);
    expect(sources.map(({ id, keys, tags: each }) => [id, keys, [...each.keys()]])).toEqual([
      ['plc-unit-1', { unitId: 1 }, ['plc.unit-1.fast.a']],
      ['plc-unit-2', { unitId: 2 }, ['plc.unit-2.fast.a']],
    ]);
  });

  test('a file that is not JSON is named with its line', () => {
    expect(findingsOf(readNeuron('{\n  "tags": [\n', base))).toEqual([expect.stringMatching(/^\d : .*not valid JSON/)]);
  });
});

test('a spreadsheet of Neuron, saved as CSV', () => {
  const text =
    'group,interval,name,address,attribute,type,description,decimal,precision,bias\nfast,500,speed,1!400001#BL,Read,FLOAT,motor,0.1,,\nfast,500,set,1!400009,Write,INT16,,,,\n';
  const imported = readNeuron(text, base);
  expect(tagsOf(imported)).toEqual({
    speed: { register: 'holding', address: 0, type: 'float32', byteOrder: 'CDAB', scale: 0.1, scanInterval: '500ms' },
  });
  expect(findingsOf(imported)).toEqual(['3 set: Write (the tag is written only)']);
});

test('gives the values of the device by type and byte order', async () => {
  const wire = Buffer.alloc(60);
  wire.writeInt16LE(-300, 0);
  const float = Buffer.alloc(4);
  float.writeFloatBE(21.25);
  Buffer.concat([float.subarray(2), float.subarray(0, 2)]).copy(wire, 2);
  wire.writeUInt32LE(3_000_000_000, 6);
  wire.writeDoubleLE(-0.5, 10);
  wire.writeUInt16BE(0x8000, 18);
  for (const [index, letter] of Buffer.from('LOT7').entries()) wire[21 + index * 2] = letter;
  const text = tagList(
    { name: 'int', address: '1!400001#B', attribute: read, type: 3, decimal: 0.1 },
    { name: 'float', address: '1!400002#BL', attribute: read, type: 9 },
    { name: 'uint', address: '1!400004#BB', attribute: read, type: 6 },
    { name: 'double', address: '1!400006#B', attribute: read, type: 10 },
    { name: 'bit', address: '1!400010.15', attribute: read, type: 11 },
    { name: 'text', address: '1!400011.4D', attribute: read, type: 13 },
    { name: 'coil', address: '1!000008', attribute: read, type: 11 },
  );
  expect(await readImported(readNeuron(text, base), wire, [7])).toEqual({
    'plc.int': -30,
    'plc.float': 21.25,
    'plc.uint': 3_000_000_000,
    'plc.double': -0.5,
    'plc.bit': 1,
    'plc.text': 'LOT7',
    'plc.coil': 1,
  });
});

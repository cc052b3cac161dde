import { describe, expect, test } from 'vitest';
import { readTelegraf } from '../../src/tag-import/telegraf.ts';
import { findingsOf, readImported, tagsOf } from '../support/imported-values.ts';

const plugin = (more: string) => `[[inputs.modbus]]
  name = "meter"
  controller = "tcp://10.0.0.7:502"
${more}`;

const registers = (...fields: readonly string[]) =>
  plugin(`  slave_id = 3\n  holding_registers = [\n${fields.map((field) => `    { ${field} },\n`).join('')}  ]\n`);

describe('the register style of Telegraf', () => {
  const holding = { register: 'holding', address: 5 };
  test.each([
    ['byte_order = "AB", data_type = "INT8L", scale = 1.0, address = [5]', { type: 'int8' }],
    ['byte_order = "AB", data_type = "UINT8H", scale = 1.0, address = [5]', { type: 'uint8', byte: 'high' }],
    ['byte_order = "BA", data_type = "UINT16", scale = 1.0, address = [5]', { type: 'uint16', byteOrder: 'DCBA' }],
    ['byte_order = "AB", data_type = "FIXED", scale = 0.1, address = [5]', { type: 'int16', scale: 0.1 }],
    [
      'byte_order = "CDAB", data_type = "UFIXED", scale = 0.01, address = [5, 6]',
      { type: 'uint32', byteOrder: 'CDAB', scale: 0.01 },
    ],
    // An old name of UFIXED, not a float.
    ['byte_order = "ABCD", data_type = "FLOAT32", scale = 0.01, address = [5, 6]', { type: 'uint32', scale: 0.01 }],
    ['byte_order = "ABCD", data_type = "FLOAT32-IEEE", scale = 1.0, address = [5, 6]', { type: 'float32' }],
    ['byte_order = "AB", data_type = "FLOAT16-IEEE", scale = 1.0, address = [5]', { type: 'float16' }],
    [
      'byte_order = "GHEFCDAB", data_type = "INT64", scale = 1.0, address = [5, 6, 7, 8]',
      { type: 'int64', byteOrder: 'CDAB' },
    ],
    [
      'byte_order = "BADCFEHG", data_type = "FLOAT64-IEEE", scale = 2.0, address = [5, 6, 7, 8]',
      { type: 'float64', byteOrder: 'BADC', scale: 2 },
    ],
    ['byte_order = "AB", data_type = "BIT", bit = 3, scale = 1.0, address = [5]', { type: 'bool', bit: 3 }],
    ['byte_order = "BA", data_type = "STRING", address = [5, 6, 7]', { type: 'string', length: 6, byteOrder: 'DCBA' }],
  ])('%s', (field, expected) => {
    const imported = readTelegraf(registers(`name = "x", ${field}`));
    expect([tagsOf(imported), findingsOf(imported)]).toEqual([{ 'meter.x': { ...holding, ...expected } }, []]);
  });

  test('lists fields without an equivalent with their lines', () => {
    const imported = readTelegraf(
      registers(
        'name = "gap", byte_order = "ABCD", data_type = "INT32", scale = 1.0, address = [5, 7]',
        'name = "short", byte_order = "ABCD", data_type = "INT32", scale = 1.0, address = [5]',
        'name = "odd", byte_order = "ACBD", data_type = "INT32", scale = 1.0, address = [5, 6]',
        'name = "time", byte_order = "AB", data_type = "DATE", scale = 1.0, address = [5]',
        'name = "extra", byte_order = "AB", data_type = "INT16", scale = 1.0, address = [5], colour = "red"',
      ),
    );
    expect(findingsOf(imported)).toEqual([
      '6 gap: address = [5, 7] (the addresses do not follow each other)',
      '7 short: INT32 in 1 registers (the type does not fill the registers)',
      '8 odd: ACBD (the byte order is unknown)',
      '9 time: DATE (the data type is unknown)',
      '10 extra: colour (the field has keys that are unknown)',
    ]);
  });

  test('notes that Telegraf cuts decimals', () => {
    const { notes } = readTelegraf(
      registers('name = "x", byte_order = "AB", data_type = "INT16", scale = 0.1, address = [5]'),
    );
    expect(notes).toEqual(['meter: x: Telegraf cuts the decimals of the scaled value, andon keeps them']);
  });
});

describe('the request and metric styles of Telegraf', () => {
  test('give a source for each unit, with the device and its settings', () => {
    const text = `[agent]
  interval = "2s"
[[outputs.file]]
${plugin(`  timeout = "500ms"
  configuration_type = "request"
  transmission_mode = "RTUoverTCP"
  [inputs.modbus.workarounds]
    pause_after_connect = "100ms"
    close_connection_after_gather = true
  [[inputs.modbus.request]]
    slave_id = 1
    byte_order = "DCBA"
    register = "input"
    fields = [
      { address=1, name="power", type="INT32", scale=0.001 },
      { address=3, name="spare", type="UINT32", omit=true },
    ]
  [[inputs.modbus.request]]
    slave_id = 2
    register = "coil"
    fields = [ { address=7, name="run" } ]
`)}`;
    const { sources, notes, findings } = readTelegraf(text);
    const keys = {
      url: 'rtu+tcp://10.0.0.7:502',
      scanInterval: '2s',
      timeout: '500ms',
      pauseAfterConnect: '100ms',
      closeAfterScan: true,
    };
    expect(sources).toEqual([
      {
        id: 'meter-unit-1',
        keys: { ...keys, unitId: 1 },
        tags: new Map([
          ['meter.power', { register: 'input', address: 1, type: 'int32', byteOrder: 'DCBA', scale: 0.001 }],
        ]),
      },
      {
        id: 'meter-unit-2',
        keys: { ...keys, unitId: 2 },
        tags: new Map([['meter.run', { register: 'coil', address: 7, type: 'bool' }]]),
      },
    ]);
    expect([findings, notes]).toEqual([[], ['only inputs.modbus is imported; left out: outputs.file']]);
  });

  test('names of several units are made unique, all in one form', () => {
    const request = (unit: number) =>
      `  [[inputs.modbus.request]]\n    slave_id = ${unit}\n    fields = [ { address=0, name="power", type="INT16" } ]\n`;
    const { sources } = readTelegraf(plugin(`  configuration_type = "request"\n${request(1)}${request(2)}`));
    expect(sources.flatMap(({ tags }) => [...tags.keys()])).toEqual([
      'meter.unit-1.modbus.holding.power',
      'meter.unit-2.modbus.holding.power',
    ]);
  });

  test('metrics name the register in each field; texts, bits and halves have their keys', () => {
    const text = plugin(`  configuration_type = "metric"
  [inputs.modbus.workarounds]
    string_register_location = "lower"
  [[inputs.modbus.metric]]
    slave_id = 1
    byte_order = "MSW-LE"
    fields = [
      { register="discrete", address=0, name="door"},
      { address=4, name="version", type="STRING", length=8 },
      { address=9, name="fault", type="BIT", bit=2 },
      { register="input", address=9, name="half", type="FLOAT16" },
    ]
`);
    expect(tagsOf(readTelegraf(text))).toEqual({
      'meter.door': { register: 'discrete', address: 0, type: 'bool' },
      'meter.version': { register: 'holding', address: 4, type: 'string', length: 8, byte: 'low', byteOrder: 'BADC' },
      'meter.fault': { register: 'holding', address: 9, type: 'bool', bit: 2, byteOrder: 'BADC' },
      'meter.half': { register: 'input', address: 9, type: 'float16', byteOrder: 'BADC' },
    });
  });
});

describe('the device of Telegraf', () => {
  test.each([
    ['controller = "tcp://plc:1502"', 'tcp://plc:1502'],
    ['controller = "tcp://plc:1502"\ntransmission_mode = "ASCIIoverTCP"', 'ascii+tcp://plc:1502'],
    [
      'controller = "file:///dev/ttyUSB0"\nbaud_rate = 9600\nparity = "N"\nstop_bits = 2',
      'serial:///dev/ttyUSB0?baudRate=9600&parity=none&stopBits=2',
    ],
    [
      'controller = "file:///dev/ttyS1"\ntransmission_mode = "ASCII"\ndata_bits = 7',
      'ascii+serial:///dev/ttyS1?dataBits=7',
    ],
  ])('%s', (settings, url) => {
    const { sources } = readTelegraf(`[[inputs.modbus]]\n${settings}\ncoils = [ { name = "x", address = [0] } ]\n`);
    expect(sources[0]?.keys['url']).toBe(url);
  });

  test('settings without an equivalent are listed, and the tags imported', () => {
    const text = `[[inputs.modbus]]
  controller = "COM3"
  timeout = "soon"
  fieldinclude = ["x"]
  coils = [ { name = "x", address = [0] } ]
  [inputs.modbus.workarounds]
    one_request_per_field = true
`;
    const imported = readTelegraf(text);
    expect(findingsOf(imported)).toEqual([
      '2 modbus: controller = "COM3" (this is not an address that andon can open) imported',
      '3 modbus: timeout = "soon" (this is not a duration) imported',
      '4 modbus: fieldinclude = ["x"] (the setting has no equivalent) imported',
      '7 modbus: one_request_per_field = true (the workaround has no equivalent) imported',
    ]);
    expect(tagsOf(imported)).toEqual({ 'modbus.x': { register: 'coil', address: 0, type: 'bool' } });
  });

  test('a file that is not TOML is named with its line', () => {
    expect(findingsOf(readTelegraf('[agent]\ninterval = \n'))).toEqual([
      expect.stringMatching(/^2 : interval = \(the file is not valid TOML/),
    ]);
  });
});

test('gives the values of the device by type and byte order', async () => {
  const wire = Buffer.alloc(80);
  wire.writeFloatLE(12.5, 0);
  wire.writeInt16BE(-105, 4);
  wire.writeInt16LE(-2, 6);
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(-1234.5);
  for (let index = 0; index < 8; index += 2) bytes.copy(wire, 8 + index, 6 - index, 8 - index);
  wire[17] = 200;
  wire.write('PUMP', 18);
  const text = plugin(`  slave_id = 1
  holding_registers = [
    { name = "float", byte_order = "DCBA", data_type = "FLOAT32-IEEE", scale = 1.0, address = [0, 1] },
    { name = "fixed", byte_order = "AB", data_type = "FIXED", scale = 0.1, address = [2] },
    { name = "little", byte_order = "BA", data_type = "INT16", scale = 1.0, address = [3] },
    { name = "double", byte_order = "GHEFCDAB", data_type = "FLOAT64-IEEE", scale = 1.0, address = [4, 5, 6, 7] },
    { name = "low", byte_order = "AB", data_type = "UINT8L", scale = 1.0, address = [8] },
    { name = "text", byte_order = "AB", data_type = "STRING", address = [9, 10] },
  ]
  coils = [ { name = "on", address = [4] } ]
`);
  expect(await readImported(readTelegraf(text), wire, [4])).toEqual({
    'meter.float': 12.5,
    'meter.fixed': -10.5,
    'meter.little': -2,
    'meter.double': -1234.5,
    'meter.low': 200,
    'meter.text': 'PUMP',
    'meter.on': 1,
  });
});

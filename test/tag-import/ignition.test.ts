import { describe, expect, test } from 'vitest';
import { readIgnition } from '../../src/tag-import/ignition.ts';
import { findingsOf, readImported, tagsOf } from '../support/imported-values.ts';

const base = { addressBase: 1, byteOrder: 'ABCD' } as const;

const tag = (name: string, address: string, more: object = {}) => ({
  name,
  tagType: 'AtomicTag',
  valueSource: 'opc',
  opcServer: 'Ignition OPC UA Server',
  opcItemPath: `ns=1;s=[PLC]${address}`,
  ...more,
});
const folder = (name: string, ...tags: readonly object[]) => ({ name, tagType: 'Folder', tags });
const provider = (...tags: readonly object[]) =>
  JSON.stringify({ name: '', tagType: 'Provider', tags }, undefined, 2).replaceAll('=', '\\u003d');

describe('a tag export of Ignition', () => {
  test.each([
    ['HR1', { register: 'holding', address: 0, type: 'int16' }],
    ['HRUS1', { register: 'holding', address: 0, type: 'uint16' }],
    ['HRI1024', { register: 'holding', address: 1023, type: 'int32', byteOrder: 'ABCD' }],
    ['HRUI1', { register: 'holding', address: 0, type: 'uint32', byteOrder: 'ABCD' }],
    ['HRI_641', { register: 'holding', address: 0, type: 'int64', byteOrder: 'ABCD' }],
    ['HRUI_641', { register: 'holding', address: 0, type: 'uint64', byteOrder: 'ABCD' }],
    ['HRF11', { register: 'holding', address: 10, type: 'float32', byteOrder: 'ABCD' }],
    ['HRD11', { register: 'holding', address: 10, type: 'float64', byteOrder: 'ABCD' }],
    ['HRBCD11', { register: 'holding', address: 10, type: 'bcd16' }],
    ['HRBCD_3211', { register: 'holding', address: 10, type: 'bcd32', byteOrder: 'ABCD' }],
    ['HRS1024:20', { register: 'holding', address: 1023, type: 'string', length: 20 }],
    ['HR1024.3', { register: 'holding', address: 1023, type: 'bool', bit: 3 }],
    ['IR5', { register: 'input', address: 4, type: 'int16' }],
    ['IRF5', { register: 'input', address: 4, type: 'float32', byteOrder: 'ABCD' }],
    ['C3072', { register: 'coil', address: 3071, type: 'bool' }],
    ['DI8', { register: 'discrete', address: 7, type: 'bool' }],
  ])('reads [PLC]%s', (address, expected) => {
    const imported = readIgnition(provider(tag('x', address)), base);
    expect([tagsOf(imported), findingsOf(imported)]).toEqual([{ x: expected }, []]);
  });

  test('keeps folders, units, limits and scaling', () => {
    const scaled = {
      engUnit: 'bar',
      engLow: 0,
      engHigh: 16,
      engLimitMode: 'EngLimit_HiLo',
      scaleMode: 'Linear',
      rawHigh: 4000,
      scaledHigh: 16,
      deadbandMode: 'Percent',
      deadband: 0.5,
    };
    expect(
      tagsOf(readIgnition(provider(folder('Press 1', folder('Oil', tag('Pressure', 'HRUS1', scaled)))), base)),
    ).toEqual({
      'Press 1.Oil.Pressure': {
        register: 'holding',
        address: 0,
        type: 'uint16',
        scale: 0.004,
        unit: 'bar',
        range: [0, 16],
        deadband: 0.08,
      },
    });
  });

  test('a register that Ignition shows as Boolean is true unless it is 0', () => {
    expect(tagsOf(readIgnition(provider(tag('x', 'HR1', { dataType: 'Boolean' })), base))).toEqual({
      x: { register: 'holding', address: 0, type: 'bool' },
    });
  });

  test('gives a source for each device and unit', () => {
    const other = { opcItemPath: '[Meter]HR1' };
    const { sources } = readIgnition(provider(tag('a', '3.HR1'), tag('b', '4.HR1'), tag('c', 'HR1', other)), base);
    expect(sources.map(({ id, keys, tags }) => [id, keys, [...tags.keys()]])).toEqual([
      ['plc-unit-3', { unitId: 3 }, ['a']],
      ['plc-unit-4', { unitId: 4 }, ['b']],
      ['meter', {}, ['c']],
    ]);
  });

  test('lists what has no equivalent, with its line', () => {
    const text = provider(
      tag('logix', 'Program:Main.Speed'),
      { name: 'calc', tagType: 'AtomicTag', valueSource: 'expr', expression: '1' },
      tag('root', 'HR1', { scaleMode: 'SquareRoot' }),
      tag('clamped', 'HR2', { scaleMode: 'Linear', clampMode: 'Clamp_Low' }),
      tag('off', 'HR3', { enabled: false }),
      tag('text', 'HRS1'),
    );
    const imported = readIgnition(text, base);
    expect(findingsOf(imported)).toEqual([
      '5 logix: ns=1;s=[PLC]Program:Main.Speed (this is not an address of the Modbus driver)',
      '12 calc: valueSource expr (the value does not come from a device)',
      '18 root: SquareRoot 0..10 to 0..10 (a tag cannot take a square root)',
      '26 clamped: Clamp_Low (values are not clamped by andon) imported',
      '43 text: ns=1;s=[PLC]HRS1 (this is not an address of the Modbus driver)',
    ]);
    expect(imported.notes).toEqual(['tags that are disabled in Ignition are left out: 1']);
  });

  test('leaves the settings of the device open, and assumes none', () => {
    expect(readIgnition(provider(tag('a', 'HRF5')), {}).open.map(({ setting }) => setting)).toEqual([
      'addressBase',
      'byteOrder',
    ]);
    const proven = readIgnition(provider(tag('a', 'HR0'), tag('b', 'HR5')), {});
    expect([proven.open, tagsOf(proven)]).toMatchObject([[], { a: { address: 0 }, b: { address: 5 } }]);
  });
});

describe('instances of UDTs', () => {
  const bound = (binding: string) => ({ opcItemPath: { bindType: 'parameter', binding } });
  const motor = {
    name: 'Motor',
    tagType: 'UdtType',
    parameters: { Device: { dataType: 'String', value: 'PLC' }, Base: { dataType: 'Integer', value: 1 } },
    tags: [
      tag('Speed', '', { ...bound('ns=1;s=[{Device}]HRF{Base}'), engUnit: 'rpm' }),
      tag('Run', '', bound('ns=1;s=[{Device}]HR{Base+2}.0')),
    ],
  };
  const instance = (name: string, parameters: object, ...tags: readonly object[]) => ({
    name,
    tagType: 'UdtInstance',
    typeId: 'Drives/Motor',
    parameters,
    tags,
  });
  const types = folder('_types_', folder('Drives', motor));

  test('are the tags of their definition, with their parameters and overrides', () => {
    const text = provider(
      types,
      folder(
        'Line',
        instance('M1', {}),
        instance('M2', { Base: { value: 101 } }, { name: 'Speed', tagType: 'AtomicTag', engUnit: 'Hz' }),
      ),
    );
    const imported = readIgnition(text, base);
    const speed = { register: 'holding', type: 'float32', byteOrder: 'ABCD' };
    expect([tagsOf(imported), findingsOf(imported)]).toEqual([
      {
        'Line.M1.Speed': { ...speed, address: 0, unit: 'rpm' },
        'Line.M1.Run': { register: 'holding', address: 2, type: 'bool', bit: 0 },
        'Line.M2.Speed': { ...speed, address: 100, unit: 'Hz' },
        'Line.M2.Run': { register: 'holding', address: 102, type: 'bool', bit: 0 },
      },
      [],
    ]);
  });

  test('take over tags of the type that their type extends, and parameters of the instance around them', () => {
    const fast = {
      name: 'Fast',
      tagType: 'UdtType',
      typeId: 'Drives/Motor',
      tags: [tag('Torque', '', bound('[{Device}]HR{Base|000}'))],
    };
    const axis = {
      name: 'Axis',
      tagType: 'UdtType',
      parameters: { Start: { value: 1 } },
      tags: [{ ...instance('Drive', { Base: { bindType: 'parameter', binding: '{Start}' } }), typeId: 'Drives/Fast' }],
    };
    const text = provider(folder('_types_', folder('Drives', motor, fast, axis)), {
      ...instance('A', { Start: 50 }),
      typeId: 'Drives/Axis',
    });
    expect(
      Object.entries(tagsOf(readIgnition(text, base))).map(([name, each]) => [
        name,
        (each as { address: number }).address,
      ]),
    ).toEqual([
      ['A.Drive.Speed', 49],
      ['A.Drive.Run', 51],
      ['A.Drive.Torque', 49],
    ]);
  });

  test('without a definition or a value of a parameter are listed', () => {
    const lost = { ...instance('X', {}), typeId: 'Other/Pump' };
    const open = { ...motor, parameters: {} };
    const text = provider(folder('_types_', folder('Drives', open)), lost, instance('M1', { Device: 'PLC' }));
    expect(readIgnition(text, base).findings.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([
      'M1/Speed: a parameter has no value',
      'M1/Run: a parameter has no value',
      'X: the UDT is not in the file',
    ]);
  });
});

test('the CSV of version 7', () => {
  const text = `"Path","Name","TagType","DataType","Enabled","OPCServer","OPCItemPath","ScaleMode","RawLow","RawHigh","ScaledLow","ScaledHigh","EngUnit"
"","Oil","6","","","","","","","","","",""
"Oil/","Pressure","0","4","true","Ignition OPC-UA Server","[PLC]HRUS1","1","0","1000","0","100","bar"
"Oil/","Odd","0","4","true","Ignition OPC-UA Server","[PLC]V2000","0","","","","",""
`;
  const imported = readIgnition(text, base);
  expect(tagsOf(imported)).toEqual({
    'Oil.Pressure': { register: 'holding', address: 0, type: 'uint16', scale: 0.1, unit: 'bar' },
  });
  expect(findingsOf(imported)).toEqual(['4 Oil/Odd: [PLC]V2000 (this is not an address of the Modbus driver)']);
});

test('gives the values of the device by type and word order', async () => {
  const wire = Buffer.alloc(60);
  wire.writeInt16BE(-1, 0);
  wire.writeUInt16BE(65_000, 2);
  const float = Buffer.alloc(4);
  float.writeFloatBE(-2.5);
  Buffer.concat([float.subarray(2), float.subarray(0, 2)]).copy(wire, 4);
  wire.writeUInt16BE(1, 8);
  wire.writeUInt16BE(0, 10);
  wire.write('RX-9', 12);
  wire.writeUInt16BE(0x5678, 16);
  wire.writeUInt16BE(0x1234, 18);
  const text = provider(
    tag('short', 'HR1'),
    tag('word', 'HRUS2'),
    tag('float', 'IRF3'),
    tag('int', 'HRI5'),
    tag('text', 'HRS7:4'),
    tag('bcd', 'HRBCD_329'),
    tag('bit', 'HR2.3'),
    tag('input', 'DI4'),
  );
  expect(await readImported(readIgnition(text, { addressBase: 1, byteOrder: 'CDAB' }), wire, [3])).toEqual({
    short: -1,
    word: 65_000,
    float: -2.5,
    int: 1,
    text: 'RX-9',
    bcd: 12_345_678,
    bit: 1,
    input: 1,
  });
});

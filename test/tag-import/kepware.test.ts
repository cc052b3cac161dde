import { describe, expect, test } from 'vitest';
import { readKepware } from '../../src/tag-import/kepware.ts';
import { findingsOf, readImported, tagsOf } from '../support/imported-values.ts';

const HEADER =
  'Tag Name,Address,Data Type,Respect Data Type,Client Access,Scan Rate,Scaling,Raw Low,Raw High,Scaled Low,Scaled High,Scaled Data Type,Clamp Low,Clamp High,Eng Units,Description,Negate Value\n';

/** A row of an export. */
function row(
  name: string,
  address: string,
  type: string,
  more: Partial<Record<'access' | 'scaling' | 'clamp' | 'unit' | 'negate' | 'rate', string>> = {},
): string {
  const { access = 'RO', rate = '', scaling = ',,,,,', clamp = ',', unit = '', negate = '' } = more;
  return `"${name}","${address}",${type},1,${access},${rate},${scaling},${clamp},"${unit}","",${negate}\n`;
}

const base = { addressBase: 1, byteOrder: 'CDAB' } as const;

describe('a tag export of Kepware', () => {
  test.each([
    ['Word', '40001', { register: 'holding', address: 0, type: 'uint16' }],
    ['Word', '400001', { register: 'holding', address: 0, type: 'uint16' }],
    // Kepware pads numbers of one to four digits.
    ['Word', '41', { register: 'holding', address: 0, type: 'uint16' }],
    ['Short', '465536', { register: 'holding', address: 65_535, type: 'int16' }],
    ['Char', '300002', { register: 'input', address: 1, type: 'int8' }],
    ['Byte', '300002', { register: 'input', address: 1, type: 'uint8' }],
    ['Long', '300002', { register: 'input', address: 1, type: 'int32', byteOrder: 'CDAB' }],
    ['DWord', '400010', { register: 'holding', address: 9, type: 'uint32', byteOrder: 'CDAB' }],
    ['Float', '400010', { register: 'holding', address: 9, type: 'float32', byteOrder: 'CDAB' }],
    ['Double', '400010', { register: 'holding', address: 9, type: 'float64', byteOrder: 'CDAB' }],
    ['LLong', '400010', { register: 'holding', address: 9, type: 'int64', byteOrder: 'CDAB' }],
    ['QWord', '400010', { register: 'holding', address: 9, type: 'uint64', byteOrder: 'CDAB' }],
    ['BCD', '400010', { register: 'holding', address: 9, type: 'bcd16' }],
    ['LBCD', '400010', { register: 'holding', address: 9, type: 'bcd32', byteOrder: 'CDAB' }],
    ['Boolean', '000003', { register: 'coil', address: 2, type: 'bool' }],
    ['Boolean', '100003', { register: 'discrete', address: 2, type: 'bool' }],
    ['Boolean', '400003.15', { register: 'holding', address: 2, type: 'bool', bit: 15 }],
    ['Default', '000003', { register: 'coil', address: 2, type: 'bool' }],
    ['', '400003', { register: 'holding', address: 2, type: 'uint16' }],
    ['String', '400003.20H', { register: 'holding', address: 2, type: 'string', length: 20 }],
    ['String', '400003.20L', { register: 'holding', address: 2, type: 'string', length: 20, byteOrder: 'BADC' }],
    ['Short Array', '400003[8]', { register: 'holding', address: 2, type: 'int16', count: 8 }],
    ['Float Array', '400003[2][4]', { register: 'holding', address: 2, type: 'float32', count: 8, byteOrder: 'CDAB' }],
    ['Word', 'H4000A', { register: 'holding', address: 9, type: 'uint16' }],
  ])('reads %s at %s', (type, address, expected) => {
    const imported = readKepware(`${HEADER}${row('a', address, type)}`, base);
    expect([tagsOf(imported), findingsOf(imported)]).toEqual([{ a: expected }, []]);
  });

  test.each([
    ['Linear,0,4095,0,100,Double', '', { scale: 100 / 4095 }],
    ['Linear,0,100,0,10,Double', '', { scale: 0.1 }],
    ['Linear,4000,20000,-50,150,Double', '', { scale: 0.0125, offset: -100 }],
    ['Linear,0,100,0,10,Double', '1', { scale: -0.1 }],
    ['None,0,1000,0,1000,Double', '', {}],
  ])('reads the scaling %s', (scaling, negate, expected) => {
    const imported = readKepware(`${HEADER}${row('a', '40001', 'Word', { scaling, negate })}`, base);
    expect(tagsOf(imported)).toEqual({ a: { register: 'holding', address: 0, type: 'uint16', ...expected } });
  });

  test('keeps groups, units and scan rates', () => {
    const imported = readKepware(`${HEADER}${row('Press.Oil', '40001', 'Word', { unit: 'bar', rate: '250' })}`, base);
    expect(tagsOf(imported)).toEqual({
      'Press.Oil': { register: 'holding', address: 0, type: 'uint16', unit: 'bar', scanInterval: '250ms' },
    });
  });

  test('lists every line that is not understood', () => {
    const text = [
      HEADER.trim(),
      row('siemens', 'DB1.DBW4', 'Word').trim(),
      row('date', '40001', 'Date').trim(),
      row('', '40002', 'Word').trim(),
      row('root', '40003', 'Word', { scaling: 'Square Root,0,4000,0,50,Float' }).trim(),
      row('flat', '40003', 'Word', { scaling: 'Linear,5,5,0,50,Float' }).trim(),
      row('setpoint', '40004', 'Word', { access: 'WO' }).trim(),
      row('last', '465536', 'Float').trim(),
      row('twice', '40005', 'Word').trim(),
      row('twice', '40006', 'Word').trim(),
      row('clamped', '40007', 'Word', { scaling: 'Linear,0,100,0,10,Double', clamp: '1,1' }).trim(),
    ].join('\r\n');
    expect(findingsOf(readKepware(text, base))).toEqual([
      '2 siemens: DB1.DBW4 (this is not an address of a Modbus device)',
      '3 date: Date (the data type is unknown)',
      expect.stringMatching(/^4 : .*\(the row has no tag name\)$/),
      '5 root: Square Root 0..4000 to 0..50 (a tag cannot take a square root)',
      '6 flat: Linear 5..5 to 0..50 (the ranges give no factor)',
      '7 setpoint: WO (the tag is written only)',
      '8 last: holding 65535, float32 (address: a float32 takes 2 registers, and 65535 is the last)',
      '10 twice: twice (the name is also in line 9; tag names must be unique)',
      '11 clamped: clamplow, clamphigh (values are not clamped by andon) imported',
    ]);
  });

  test('leaves the settings of the device open, and assumes none', () => {
    const text = `${HEADER}${row('a', '40001', 'Word')}${row('b', '40002', 'Float')}`;
    expect(readKepware(text, {}).open.map(({ setting }) => setting)).toEqual(['addressBase', 'byteOrder']);
    expect(readKepware(`${HEADER}${row('a', '40001', 'Word')}`, {}).open.map(({ setting }) => setting)).toEqual([
      'addressBase',
    ]);
    // Register 0 exists only if numbers count from 0.
    const proven = readKepware(`${HEADER}${row('a', '40000', 'Word')}${row('b', '40005', 'Word')}`, {});
    expect(proven.open).toEqual([]);
    expect(tagsOf(proven)).toMatchObject({ a: { address: 0 }, b: { address: 5 } });
  });

  test('that is none is named', () => {
    expect(findingsOf(readKepware('name;address\na;1\n', base))).toEqual([
      '1 : name;address (there is no line with the columns Tag Name, Address, Data Type)',
    ]);
  });

  test('gives the values of the device by type and word order', async () => {
    const wire = Buffer.alloc(60);
    wire.writeInt16BE(-7, 0);
    const low = Buffer.alloc(4);
    low.writeFloatBE(12.5);
    Buffer.concat([low.subarray(2), low.subarray(0, 2)]).copy(wire, 2);
    wire.writeUInt16BE(0b1000, 6);
    wire.write('LOT-42', 8);
    wire.writeUInt16BE(0x1234, 20);
    wire.writeUInt16BE(2048, 22);
    const words = Buffer.alloc(8);
    words.writeBigInt64BE(-5_000_000_000n);
    for (let word = 0; word < 4; word += 1) words.copy(wire, 24 + word * 2, 6 - word * 2, 8 - word * 2);
    const text = [
      row('short', '40001', 'Short'),
      row('float', '40002', 'Float'),
      row('bit', '40004.3', 'Boolean'),
      row('text', '40005.8H', 'String'),
      row('bcd', '40011', 'BCD'),
      row('scaled', '40012', 'Word', { scaling: 'Linear,0,4096,0,100,Double' }),
      row('long long', '40013', 'LLong'),
      row('coil', '000003', 'Boolean'),
    ].join('');
    expect(await readImported(readKepware(`${HEADER}${text}`, base), wire, [2])).toEqual({
      short: -7,
      float: 12.5,
      bit: 1,
      text: 'LOT-42',
      bcd: 1234,
      scaled: 50,
      'long long': -5_000_000_000,
      coil: 1,
    });
  });
});

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tagFileText } from '../../src/config/config-tag-files.ts';
import { readRegisterList } from '../../src/tag-import/register-list.ts';
import { mergeTagFile } from '../../src/tag-import/tag-file-merge.ts';
import { findingsOf, readImported, tagsOf } from '../support/imported-values.ts';

const holding = { register: 'holding', address: 0, type: 'uint16' };

describe('a register list', () => {
  test('with German headers, semicolons and decimal commas', () => {
    const text = `Registerliste Kompressor 7;;;;;;
;;;;;;
Bezeichnung;Adresse (ab 0);Registertyp;Datentyp;Faktor;Einheit;Zugriff;Bemerkung
Netzdruck;10;Eingangsregister;INT16;0,01;bar;R;vorn
Betriebsstunden;12;Halteregister;UINT32;1;h;R/W;
Läuft;3;Digitaler Eingang;BOOL;;;R;
`;
    const imported = readRegisterList(text, {});
    expect([tagsOf(imported), findingsOf(imported), imported.notes, imported.open]).toEqual([
      {
        Netzdruck: { register: 'input', address: 10, type: 'int16', scale: 0.01, unit: 'bar' },
        Betriebsstunden: { register: 'holding', address: 12, type: 'uint32', unit: 'h' },
        Läuft: { register: 'discrete', address: 3, type: 'bool' },
      },
      [],
      ['columns that are not used: Bemerkung'],
      [],
    ]);
  });

  test.each([
    ['40001', holding],
    ['30010', { ...holding, register: 'input', address: 9 }],
    ['400001', holding],
    ['4x00001', holding],
    ['3:0010', { ...holding, register: 'input', address: 9 }],
    ['HR1', holding],
    ['IR 10', { ...holding, register: 'input', address: 9 }],
    ['40001.3', { ...holding, type: 'bool', bit: 3 }, ''],
    ['10004', { register: 'discrete', address: 3, type: 'bool' }, ''],
    ['00004', { register: 'coil', address: 3, type: 'bool' }, ''],
    ['40001-40002', { ...holding, type: 'uint32' }, 'unsigned'],
  ])('finds %s', (address, expected, type = 'WORD') => {
    const imported = readRegisterList(`Tag,Address,Type\nx,${address},${type}\n`, {
      addressBase: 1,
      manualNumbers: true,
    });
    expect([tagsOf(imported), findingsOf(imported)]).toEqual([{ x: expected }, []]);
  });

  test.each([
    ['INT', '', 'int16'],
    ['INT', '2', 'int32'],
    ['unsigned', '4', 'uint64'],
    ['DINT', '', 'int32'],
    ['REAL', '', 'float32'],
    ['Float', '', 'float32'],
    ['float', '4', 'float64'],
    ['LREAL', '4', 'float64'],
    ['U32', '', 'uint32'],
    ['uint16', '1', 'uint16'],
    ['16 bit signed', '', 'int16'],
    ['BCD', '', 'bcd16'],
    ['BYTE', '', 'uint8'],
  ])('reads the type %s in %s registers', (type, count, expected) => {
    const text = `Name,Register Type,Address,Data Type,Quantity\nx,FC03,0,${type},${count}\n`;
    expect(tagsOf(readRegisterList(text, {}))).toEqual({ x: { ...holding, type: expected } });
  });

  test('reads factors, ranges, texts and byte orders', () => {
    const text = `name,function code,address,datatype,divisor,offset,min,max,byte order,registers,unit id
a,3,0,int16,10,-40,-40,120,,1,
b,4,4,float32 CDAB,,,,,,2,
c,4,8,float,,,,,word swap,2,
d,3,12,STRING[20],,,,,,,
e,3,30,ascii,,,,,,8,
`;
    expect(tagsOf(readRegisterList(text, {}))).toEqual({
      a: { ...holding, type: 'int16', scale: 0.1, offset: -40, range: [-40, 120] },
      b: { register: 'input', address: 4, type: 'float32', byteOrder: 'CDAB' },
      c: { register: 'input', address: 8, type: 'float32', byteOrder: 'CDAB' },
      d: { ...holding, address: 12, type: 'string', length: 20 },
      e: { ...holding, address: 30, type: 'string', length: 16 },
    });
  });

  test('of several units gives a source for each', () => {
    const text = 'name,slave,function,address,type\na,1,3,0,word\nb,2,3,0,word\n';
    expect(readRegisterList(text, {}).sources.map(({ id, keys, tags }) => [id, keys, [...tags.keys()]])).toEqual([
      ['unit-1', { unitId: 1 }, ['a']],
      ['unit-2', { unitId: 2 }, ['b']],
    ]);
  });

  test('takes the names of columns, and values for all rows, from the user', () => {
    const columns = new Map([
      ['name', 'Was'],
      ['address', 'Wo'],
      ['register', 'input'],
      ['type', 'INT16'],
    ]);
    expect(tagsOf(readRegisterList('Was;Wo\nDruck;0\n', { columns }))).toEqual({
      Druck: { register: 'input', address: 0, type: 'int16' },
    });
  });

  test('lists every line that is not understood', () => {
    const text = `name,function,address,type,factor,byte order,access
date,3,0,DATE,,,
nowhere,3,see manual,INT16,,,
kind,7,4,INT16,,,
factor,3,5,INT16,see note,,
order,3,6,INT32,,little endian,
text,3,8,STRING,,,
set,3,9,INT16,,,W
Section 2,,,,,,
`;
    expect(findingsOf(readRegisterList(text, {}))).toEqual([
      '2 date: DATE (the data type is unknown)',
      '3 nowhere: see manual (this is not an address)',
      '4 kind: 7 (the register kind is unknown)',
      '5 factor: see note (this is not a factor)',
      '6 order: little endian (the byte order is not certain)',
      '7 text: STRING (a text needs a length)',
      '8 set: W (the register is written only)',
      '9 Section 2: Section 2,,,,,, (this is not an address)',
    ]);
    expect(findingsOf(readRegisterList('name,address,type\na,0,word\n', { addressBase: 0 }))).toEqual([
      '2 a: 0 (the kind of register is not known)',
    ]);
    expect(findingsOf(readRegisterList('a;b\n1;2\n', {}))).toEqual([
      '1 : a;b (no line has the headers of a name and of an address)',
    ]);
  });

  const list = (address: string, ...rows: readonly string[]) =>
    `name,function,${address},type\n${rows.map((each) => `${each}\n`).join('')}`;

  test.each([
    ['a register 0 proves base 0', list('address', 'a,3,0,word', 'b,3,9,word'), [], 9],
    ['the header states base 1', list('Address (1-based)', 'b,3,10,word'), [], 9],
    ['the header states base 0', list('register (zero based)', 'b,3,9,word'), [], 9],
    ['nothing states the base', list('address', 'b,3,10,word'), ['addressBase'], 9],
    ['40001 may be a number of a manual or an address', list('address', 'b,3,40010,word'), ['addressBase'], 40_009],
    ['40001 without a kind is a number of a manual', 'name,address,type\nb,40010,word\n', [], 9],
    [
      'five and six digits: a leading zero may be lost',
      'name,address,type\na,400001,word\nb,10010,bool\n',
      ['addressBase'],
      undefined,
    ],
  ])('%s', (_, text, open, address) => {
    const imported = readRegisterList(text, {});
    expect(imported.open.map(({ setting }) => setting)).toEqual(open);
    expect(tagsOf(imported)).toMatchObject(address === undefined ? {} : { b: { address } });
  });

  test('gives the values of the device by type and word order', async () => {
    const wire = Buffer.alloc(40);
    wire.writeInt16BE(-125, 0);
    wire.writeUInt16BE(0x0001, 2);
    wire.writeUInt16BE(0x0002, 4);
    wire.writeDoubleBE(7.25, 6);
    wire.write('P-101', 20);
    const text = `Signal;Adresse;Datentyp;Faktor;Wortreihenfolge
Temperatur;40001;INT16;0,1;
Zähler;40002;UDINT;;CDAB
Druck;30004;LREAL;;ABCD
Name;40011;STRING[6];;
Ein;00003;BOOL;;
`;
    expect(await readImported(readRegisterList(text, {}), wire, [2])).toEqual({
      Temperatur: -12.5,
      Zähler: 0x0002_0001,
      Druck: 7.25,
      Name: 'P-101',
      Ein: 1,
    });
  });
});

describe('a tag file of andon', () => {
  test('is taken over as it is', () => {
    const text = 'name;register;address;type;scale;range\na;holding;7;int16;0,5;0,5..1\nb;;40001;float32;;\n';
    const imported = readRegisterList(text, {});
    expect([tagsOf(imported), imported.open]).toEqual([
      {
        a: { register: 'holding', address: '7', type: 'int16', scale: '0.5', range: '0.5..1' },
        b: { address: '40001', type: 'float32' },
      },
      [],
    ]);
  });

  test('of a broker too', () => {
    const imported = readRegisterList('name,topic,value,unit\ncell.rms,a/b,$.rms,g\n', {});
    expect(imported.sources.map(({ keys }) => keys['type'])).toEqual(['mqtt']);
    expect(tagsOf(imported)).toEqual({ 'cell.rms': { topic: 'a/b', value: '$.rms', unit: 'g' } });
  });

  test('importing an export changes nothing', () => {
    const tag = fc.record(
      {
        register: fc.constantFrom('holding', 'input'),
        address: fc.nat(9000),
        type: fc.constantFrom('int16', 'float32'),
        scale: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
        unit: fc.constantFrom('bar', '°C', 'a,b', 'm;s'),
        names: fc.dictionary(fc.integer().map(String), fc.constantFrom('on', 'off'), { minKeys: 1, maxKeys: 2 }),
        invalid: fc.constantFrom('none', 32_768, 'sunspec'),
      },
      { requiredKeys: ['register', 'address', 'type'] },
    );
    const names = fc.stringMatching(/^[a-z][a-z0-9._-]{0,12}[a-z0-9]$/);
    fc.assert(
      fc.property(
        fc.dictionary(names, tag, { minKeys: 1, maxKeys: 6 }),
        fc.constantFrom(',' as const, ';' as const),
        (tags, separator) => {
          const text = tagFileText(tags, separator);
          const imported = readRegisterList(text, {});
          expect(imported.open).toEqual([]);
          const merged = mergeTagFile(text, undefined, imported.sources[0]?.tags ?? new Map());
          expect(merged).toEqual({ text, notes: [], added: 0, changed: 0 });
          expect(tagFileText(Object.fromEntries(imported.sources[0]?.tags ?? []), separator)).toBe(text);
        },
      ),
      { numRuns: 50 },
    );
  });
});

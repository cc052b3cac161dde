import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tagFileText } from '../../src/config/config-tag-files.ts';
import { mergeTagFile } from '../../src/tag-import/tag-file-merge.ts';

const tag = (address: number, more: object = {}) => ({ register: 'holding', address, type: 'int16', ...more });
const first = new Map<string, object>([
  ['a', tag(0)],
  ['b', tag(1, { unit: 'bar' })],
]);
const written = tagFileText(Object.fromEntries(first));

describe('a repeated import keeps what a person changed', () => {
  test('in a cell, a row and a column, and takes over the rest', () => {
    const edited = written
      .replace('name,register,address,type,unit', 'name,register,address,type,unit,deadband')
      .replace('a,holding,0,int16,', 'a,holding,0,int16,°C,0.5')
      .replace('b,holding,1,int16,bar', '# checked on the machine\nb,holding,1,uint16,bar,\nc,holding,9,int16,,');
    const next = new Map<string, object>([
      ['a', tag(10)],
      ['b', tag(1, { unit: 'mbar' })],
      ['d', tag(3)],
    ]);
    const merged = mergeTagFile(edited, written, next);
    expect(merged.text.split('\n')).toEqual([
      'name,register,address,type,unit,deadband',
      'a,holding,10,int16,°C,0.5',
      '# checked on the machine',
      'b,holding,1,uint16,mbar,',
      'c,holding,9,int16,,',
      'd,holding,3,int16,,',
      '',
    ]);
    expect(merged).toMatchObject({ added: 1, changed: 2, notes: [] });
  });

  test('and names a cell that both changed', () => {
    const edited = written.replace('a,holding,0', 'a,holding,7');
    const merged = mergeTagFile(edited, written, new Map([...first, ['a', tag(10)]]));
    expect(merged.text).toBe(edited);
    expect(merged.notes).toEqual(["a: address stays '7'; the import has '10'"]);
  });

  test('a removed tag stays away, and one that the import lost stays', () => {
    const merged = mergeTagFile(
      written.replace(/^b.*\n/m, ''),
      written,
      new Map([
        ['b', tag(1)],
        ['c', tag(2)],
      ]),
    );
    expect(merged.text).toContain('a,holding,0');
    expect(merged.text).not.toContain('b,');
    expect(merged.text).toContain('c,holding,2');
    expect(merged.notes).toEqual([
      'a: no longer in the import; its row stays',
      'removed by hand, and not added again: b',
    ]);
  });

  test('without the last import, every filled cell stays', () => {
    const merged = mergeTagFile('name,address\na,7\n', undefined, first);
    expect(merged.text).toBe('name,address,register,type,unit\na,7,holding,int16,\nb,1,holding,int16,bar\n');
    expect(merged.notes).toEqual(["a: address stays '7'; the import has '0'"]);
  });

  test('a file that a spreadsheet program saved keeps its notation', () => {
    const scaled = new Map<string, object>([['a', tag(0, { scale: 0.5, trim: true })]]);
    const last = tagFileText(Object.fromEntries(scaled));
    const saved = 'name;register;address;type;scale;trim\r\na;holding;0;int16;0,5;WAHR\r\n';
    expect(mergeTagFile(saved, last, scaled)).toMatchObject({ text: saved, added: 0, changed: 0 });
    const next = new Map([...scaled, ['b', tag(1, { scale: 0.25 })] as const]);
    expect(mergeTagFile(saved, last, next).text).toBe(`${saved}b;holding;1;int16;0,25;\r\n`);
  });
});

test('a repeated import without a change changes nothing', () => {
  const tags = fc.dictionary(
    fc.stringMatching(/^[a-z][a-z0-9.;,"_-]{0,12}[a-z0-9]$/),
    fc.record(
      {
        register: fc.constantFrom('holding', 'input'),
        address: fc.nat(9000),
        type: fc.constantFrom('int16', 'float32'),
        unit: fc.string({ maxLength: 5 }).filter((text) => !/[\p{Cc}]/u.test(text)),
        range: fc.tuple(
          fc.double({ max: 0, noNaN: true, noDefaultInfinity: true }),
          fc.double({ min: 1, noNaN: true, noDefaultInfinity: true }),
        ),
      },
      { requiredKeys: ['register', 'address', 'type'] },
    ),
    { minKeys: 1, maxKeys: 5 },
  );
  fc.assert(
    fc.property(tags, fc.constantFrom(',' as const, ';' as const, '\t' as const), (record, separator) => {
      const text = tagFileText(record, separator);
      const map = new Map(Object.entries(record));
      expect(mergeTagFile(text, tagFileText(record), map)).toEqual({ text, notes: [], added: 0, changed: 0 });
    }),
  );
});

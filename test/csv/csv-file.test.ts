import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CsvFile } from '../../src/csv/csv-file.ts';
import { readNumber } from '../../src/csv/csv-numbers.ts';
import { TimeReader } from '../../src/csv/csv-times.ts';
import { isoTime } from '../../src/domain/epoch-ms.ts';
import { readCsv as read } from '../support/csv.ts';

describe('an export of a historian is read as it is written', () => {
  test.each([
    ['semicolons and points', 'time;a;b\n2026-01-01T00:00:00Z;1.5;2\n'],
    ['semicolons and decimal commas', 'time;a;b\n2026-01-01 00:00:00;1,5;2\n'],
    ['commas and quotes', '"time","a","b"\r\n"2026-01-01 00:00:00","1.5","2"\r\n'],
    ['tabs, no line break at the end', 'Timestamp\ta\tb\n01.01.2026 00:00:00\t1,5\t2'],
    ['a byte order mark, blank lines, epoch milliseconds', '\uFEFF\n\nts;a;b\n\n1767225600000;1.5;2\n\n'],
    ['epoch seconds with a zone-free name', 'DateTime,a,b\n1767225600,1.5,2\n'],
  ])('%s', async (_, text) => {
    const { file, rows } = await read(text);
    expect(file.layout.columns).toEqual(['a', 'b']);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ row: 0, timeMs: Date.UTC(2026, 0, 1), values: Float64Array.of(1.5, 2) });
  });

  test('missing values are NaN, and columns of text are left out by name', async () => {
    const { file, rows } = await read('time;a;state;b\n1767225600;;running;Bad\n1767225601;1;stopped;No Data\n');
    expect(file.layout.columns).toEqual(['a', 'b']);
    expect(file.layout.textColumns).toEqual(['state']);
    expect(rows.map(({ values }) => Array.from(values))).toEqual([
      [Number.NaN, Number.NaN],
      [1, Number.NaN],
    ]);
  });

  test('a decimal comma that comes late is still understood', async () => {
    const { rows } = await read(`a;b\n${'1;2\n'.repeat(300)}1,5;2\n`);
    expect(rows.at(-1)?.values).toEqual(Float64Array.of(1.5, 2));
  });

  test('columns are read in the order asked for, and any column may hold the time', async () => {
    const { file, rows } = await read('a;b;when\n1;2;2026-01-01T01:00:00+01:00\n', {
      columns: ['b', 'a'],
      timeColumn: 'when',
    });
    expect(file.layout.columns).toEqual(['b', 'a']);
    expect(rows[0]).toMatchObject({ timeMs: Date.UTC(2026, 0, 1), values: Float64Array.of(2, 1) });
  });

  test('without a time column rows have no time', async () => {
    const { rows } = await read('a;b\n1;2\n');
    expect(rows[0]?.timeMs).toBeUndefined();
  });

  test('the usual interval is found from the first rows', async () => {
    const { file } = await read('ts;a\n1767225610;1\n1767225612;1\n1767225613;1\n1767225614;1\n1767225699;1\n');
    expect(file.layout.intervalMs).toBe(1000);
  });
});

describe('what can not be read is named with its line', () => {
  test.each([
    ['text among numbers', 'a;b\n1;2\n3;x4\n', 'csv-value-invalid', /:3: column 'b' holds "x4", expected a number/],
    ['a time that is none', 'time;a\nyesterday;1\n', 'csv-value-invalid', /:2: column 'time' holds "yesterday"/],
    ['an ambiguous date', 'time;a\n03/04/2026;1\n', 'csv-value-invalid', /:2: column 'time'/],
    ['half a row at the end', 'a;b\n1;2\n3', 'csv-row-invalid', /:3: 1 cells; the header has 2/],
    ['an open quotation mark', 'a;b\n"1;2\n', 'csv-row-invalid', /:2: a quotation mark/],
    ['a point among decimal commas', 'a;b\n1,5;2\n1,5;1.234\n', 'csv-value-invalid', /:3: column 'b' holds "1.234"/],
    ['numbers without a header', '1.5;2\n3;4\n', 'csv-header-invalid', /names of the columns/],
    ['no rows', 'a;b\n', 'csv-empty', /no rows/],
    ['nothing at all', '\n\n', 'csv-empty', /no header/],
    ['a column named twice', 'a;a\n1;2\n', 'csv-header-invalid', /'a' occurs twice/],
    ['nothing but text', 'a;b\nx;y\n', 'csv-header-invalid', /no column holds numbers/],
    ['a spreadsheet', 'PK\u0003\u0004', 'csv-unreadable', /is a spreadsheet\. Save its sheet as CSV/],
    ['a line without an end', `a;b\n1;${'9'.repeat(1_100_000)}`, 'csv-line-too-long', /:2: /],
  ])('%s', async (_, text, code, message) => {
    await expect(read(text)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('a missing column is refused with the names of the columns', async () => {
    await expect(read('a;b\n1;2\n', { columns: ['c'] })).rejects.toThrow(/no column 'c'; the header has: a, b/);
  });

  test('a file that is not there', async () => {
    await expect(CsvFile.open('/nowhere/x.csv')).rejects.toMatchObject({ code: 'csv-unreadable' });
  });
});

test('quoted cells are read back unchanged', async () => {
  // A spreadsheet writes ="12.5" and '12.5 for a number as text.
  const isOfSpreadsheet = (text: string) => /^(="|'[+-]?\d)/.test(text);
  const cell = fc.string().filter((text) => !/[\r\n]/.test(text) && text.trim() === text && !isOfSpreadsheet(text));
  const rows = fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(rows, fc.constantFrom(';', ',', '\t'), async (texts, separator) => {
      const quoted = texts.map((cells) => cells.map((text) => `"${text.replaceAll('"', '""')}"`).join(separator));
      const lines = [['n', 'a', 'b'].join(separator), ...quoted.map((line, row) => `${row}${separator}${line}`)];
      const { rows: found } = await read(lines.join('\n'), { columns: ['n'], texts: ['a', 'b'] });
      expect(found.map((row) => row.texts)).toEqual(texts);
    }),
    { numRuns: 30 },
  );
});

test.each([
  ["'12.5", '12.5'],
  ["'-3", '-3'],
  ["'2026-03-02", '2026-03-02'],
  ['="007"', '007'],
  ["'+", "'+"],
  ["'- none", "'- none"],
])('%s of a spreadsheet is read as %s', async (written, expected) => {
  const { rows } = await read(`n;a\n1;"${written.replaceAll('"', '""')}"\n`, { columns: ['n'], texts: ['a'] });
  expect(rows.map(({ texts }) => texts)).toEqual([[expected]]);
});

test('an unclosed quotation mark does not join two rows', async () => {
  const text = 'a;state\n1;"running\n2;"running\n3;ok\n';
  await expect(read(text, { columns: ['a'], texts: ['state'] })).rejects.toMatchObject({
    code: 'csv-row-invalid',
    message: expect.stringMatching(/:2: a quotation mark is not closed/),
  });
});

test('a number survives with point and with comma', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      // JavaScript writes -0 as 0.
      const written = value === 0 ? 0 : value;
      expect(readNumber(String(value), '.', false)).toBe(written);
      expect(readNumber(String(value).replace('.', ','), ',', false)).toBe(written);
    }),
  );
});

const timeOf = (cell: string) => new TimeReader({ unit: undefined, zone: undefined, order: undefined }).read(cell);

test('a time survives in every spelling', () => {
  const time = fc.date({ min: new Date('2000-01-02'), max: new Date('2064-01-01'), noInvalidDate: true });
  fc.assert(
    fc.property(time, (date) => {
      const iso = date.toISOString();
      expect(timeOf(iso)).toBe(date.getTime());
      expect(timeOf(iso.replace('T', ' ').replace('Z', ''))).toBe(date.getTime());
      expect(timeOf(String(date.getTime()))).toBe(date.getTime());
    }),
  );
});

test('a time as it is exported is read back to the microsecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: 126_230_400_000_000, max: 4_102_444_800_000_000 }), (microseconds) => {
      expect(timeOf(isoTime(microseconds / 1000))).toBe(microseconds / 1000);
    }),
  );
});

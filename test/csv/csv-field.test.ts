import { describe, expect, test } from 'vitest';
import type { CsvOptions } from '../../src/csv/csv-file.ts';
import { readCsv } from '../support/csv.ts';

/*
 * Files as programs in plants and offices export them. What the columns prove is read; what they leave open is refused with both
 * readings and the option that decides.
 */
const START_MS = Date.UTC(2026, 2, 2, 6);

/** Values of the first column, and the rows' times. */
async function read(content: string | Uint8Array, options?: CsvOptions) {
  const { file, rows } = await readCsv(content, options);
  return {
    columns: file.layout.columns,
    notes: [...file.layout.notes, ...file.layout.timeNotes],
    values: rows.map(({ values }) => values[0]),
    times: rows.map(({ timeMs }) => timeMs),
    rows: rows.map(({ values }) => Array.from(values)),
  };
}

const errorOf = async (content: string | Uint8Array, options?: CsvOptions): Promise<string> =>
  read(content, options).then(
    () => 'no error',
    (error: unknown) => String(error).replaceAll(/\S*export\.csv/g, 'FILE'),
  );

describe('numbers with thousands separators', () => {
  test.each<[string, string, readonly number[]]>([
    ['US, in quotes', 't,a\nx,"1,206.50"\nx,"912.25"\n', [1206.5, 912.25]],
    ['Swiss', "t;a\nx;1'203.2\nx;912.5\n", [1203.2, 912.5]],
    ['French', 't;a\nx;1 199,2\nx;1\u00a0199,25\nx;1\u202f199,5\n', [1199.2, 1199.25, 1199.5]],
    ['German', 't;a\nx;1.199,20\nx;1.198\nx;898\n', [1199.2, 1198, 898]],
    ['millions', 't;a\nx;1.234.567\nx;1.198\n', [1_234_567, 1198]],
    [
      'proven late in the file',
      `t;a\n${'x;912\n'.repeat(2000)}x;1.198\nx;1.198,5\n`,
      [...Array<number>(2000).fill(912), 1198, 1198.5],
    ],
    ['decimal commas in quotes', 't,a\nx,"1205,00"\nx,"1210,90"\n', [1205, 1210.9]],
    ['three decimals beside others', 't;a\nx;1.198\nx;0.912\n', [1.198, 0.912]],
    ['points in a file with commas', 't,a\nx,1.198\nx,4.512\n', [1.198, 4.512]],
    ['Indian', 't;a\nx;12,34,567.8\nx;1,206\nx;98,765\n', [1_234_567.8, 1206, 98_765]],
    ['Indian, whole', 't\ta\nx\t1,23,456\nx\t998\n', [123_456, 998]],
    ['a typographic minus', 't;a\nx;\u22121,5\n', [-1.5]],
  ])('%s', async (_what, content, values) => {
    expect((await read(content, { columns: ['a'] })).values).toEqual(values);
  });

  test.each([
    ['1.198', 't;a\nx;1.198\nx;898\n', ','],
    ['1,206', 't\ta\nx\t1,206\nx\t912\n', '.'],
    ['1,206', 't,a\nx,"1,206"\nx,"912"\n', '.'],
  ])('%s in a column that proves nothing is refused, and the option decides', async (cell, content, decimal) => {
    const [point, part, whole] = [cell[1], cell.replace(',', '.'), Number(cell.replace(/[.,]/, ''))];
    expect(await errorOf(content, { columns: ['a'] })).toContain(
      `FILE:2: column 'a' holds "${cell}", expected a number that can be read in one way only, not as ${whole} or ${part}: --decimal '${point}' reads ${part}, --decimal '${decimal}' reads ${whole}`,
    );
    expect((await read(content, { columns: ['a'], decimal: decimal === ',' ? ',' : '.' })).values[0]).toBe(whole);
    expect((await read(content, { columns: ['a'], decimal: point === ',' ? ',' : '.' })).values[0]).toBe(Number(part));
  });

  test('columns that nobody asked for may hold anything', async () => {
    const content = 'time;a;b;b;c\n2026-03-02T06:00:00Z;1,5;1.198;x;"1\n2026-03-02T06:00:01Z;2,5;898;y;2\n';
    expect((await read(content.replace('"', ''), { columns: ['a'] })).values).toEqual([1.5, 2.5]);
  });
});

describe('times', () => {
  const at = (...cells: string[]) => `time;a\n${cells.map((cell, row) => `${cell};${row},5`).join('\n')}\n`;

  test.each<[string, string, string]>([
    ['Excel days', '46083,250000000', '46083,250011574'],
    ['Excel days with a point', '46083.250000000', '46083.250011574'],
    ['seconds', '1772431200', '1772431201'],
    ['milliseconds', '1772431200000', '1772431201000'],
    ['microseconds', '1772431200000000', '1772431201000000'],
    ['nanoseconds', '1772431200000000000', '1772431201000000000'],
    ['FILETIME', '134169048000000000', '134169048010000000'],
    ['WinCC', '46083250000.0000', '46083250011.5741'],
    ['ticks of .NET', '639080280000000000', '639080280010000000'],
    ['slashes with the year first', '2026/03/02 06:00:00', '2026/03/02 06:00:01'],
    ['points', '02.03.2026 06:00:00', '02.03.2026 06:00:01'],
    ['14 digits', '20260302060000', '20260302060001'],
    ['a zone', '2026-03-02T07:00:00+01:00', '2026-03-02T07:00:01+01:00'],
    ['a name of the month', '02-Mar-2026 06:00:00', '02-Mar-2026 06:00:01'],
    ['AM', '2026/03/02 06:00:00 AM', '2026/03/02 06:00:01 AM'],
  ])('as %s are read', async (_what, first, second) => {
    expect((await read(at(first, second))).times).toEqual([START_MS, START_MS + 1000]);
  });

  test('with day and month in an open order are read as a later row proves', async () => {
    expect((await read(at('5/2/2026 6:00:00 AM', '5/13/2026 6:00:00 PM'))).times).toEqual([
      Date.UTC(2026, 4, 2, 6),
      Date.UTC(2026, 4, 13, 18),
    ]);
    expect((await read(at('2/3/2026 06:00', '3/3/2026 06:00', '13/3/2026 06:00'), { timeZone: 'UTC' })).times[0]).toBe(
      START_MS,
    );
  });

  test('with day and month in an open order are refused with both readings, and the option decides', async () => {
    const content = at('3/2/2026 06:00:00 AM');
    expect(await errorOf(content)).toContain(
      `FILE:2: column 'time' holds "3/2/2026 06:00:00 AM", expected a date that can be read in one way only, not 2026-02-03 (dmy) or 2026-03-02 (mdy): --date-order decides`,
    );
    expect((await read(content, { dateOrder: 'mdy' })).times).toEqual([START_MS]);
  });

  test('that are no time from 2000 to 2064 in any unit are refused, and the option decides', async () => {
    expect(await errorOf(at('86400', '86401'))).toContain('--time-unit names the unit');
    expect((await read(at('86400', '86401'), { timeUnit: 's' })).times).toEqual([86_400_000, 86_401_000]);
    expect(await errorOf(at('1772431200', '1772431201000'))).toContain('in s as in the rows before');
  });

  test('that are days of Excel are those from 1900, which is noted, or from 1904', async () => {
    const content = at('44621.25', '44621.5');
    expect((await read(content)).notes).toContain(
      'times are read as days of Excel from 1900; --time-unit excel1904 reads those from 1904',
    );
    expect((await read(content, { timeUnit: 'excel1904' })).times[0]).toBe(START_MS);
  });

  test('that are days of MATLAB or of Python are refused, and the option reads those of MATLAB', async () => {
    const content = at('740043.25', '740043.5');
    expect(await errorOf(content)).toContain('--time-unit matlab reads days of MATLAB, which are 366 days more');
    expect((await read(content, { timeUnit: 'matlab' })).times[0]).toBe(START_MS);
  });

  test('from zero are seconds from the start, which is noted', async () => {
    expect(await read(at('0', '0,5', '40000'))).toMatchObject({
      times: [0, 500, 40_000_000],
      notes: ['times are read as seconds from the start; --time-unit names another unit'],
    });
  });

  test('without a zone are UTC, which is noted, or of the zone', async () => {
    const utc = await read(at('2026-03-02 06:00:00'));
    expect(utc).toMatchObject({
      times: [START_MS],
      notes: ['times without a zone are read as UTC; --time-zone names another zone'],
    });
    const berlin = await read(at('2026-03-02 07:00:00'), { timeZone: 'Europe/Berlin' });
    expect(berlin).toMatchObject({ times: [START_MS], notes: [] });
    expect((await read(at('46083,291666667'), { timeZone: 'Europe/Berlin' })).times).toEqual([START_MS]);
  });

  describe('over a change of the clocks', () => {
    const minutesAt = (date: string, ...clocks: string[]) => at(...clocks.map((clock) => `${date} ${clock}:00`));
    const autumn = minutesAt('26.10.2025', '01:59', '02:00', '02:01', '02:59', '02:00', '02:01', '03:00');
    const spring = minutesAt('29.03.2026', '01:58', '01:59', '03:00', '03:01');

    test('in autumn are read with a zone', async () => {
      const { times } = await read(autumn, { timeZone: 'Europe/Berlin' });
      const local = [0, 1, 2, 60, 61, 62, 121].map((minute) => Date.UTC(2025, 9, 25, 23, 59) + minute * 60_000);
      expect(times).toEqual(local);
    });

    const minutesOf = (times: readonly (number | undefined)[]) =>
      times.map((timeMs) => ((timeMs ?? 0) - (times[0] ?? 0)) / 60_000);

    test.each<[string, string, readonly string[], readonly number[]]>([
      ['every minute', 'Europe/Berlin', ['2025-10-26 02:59', '2025-10-26 02:00', '2025-10-26 02:01'], [0, 1, 2]],
      ['every hour', 'Europe/Berlin', ['2025-10-26 01:30', '2025-10-26 02:30', '2025-10-26 02:30'], [0, 60, 120]],
      ['every two hours', 'Europe/London', ['2025-10-26 00:10', '2025-10-26 02:10'], [0, 180]],
      ['every day', 'America/New_York', ['2025-11-01 12:00', '2025-11-02 12:00'], [0, 1500]],
      ['in spring', 'Europe/Berlin', ['2026-03-29 01:30', '2026-03-29 03:30'], [0, 60]],
      ['in the south', 'Australia/Sydney', ['2026-04-05 01:59', '2026-04-05 03:00'], [0, 121]],
      ['Excel days', 'Europe/Berlin', ['45955.75', '45956.75'], [0, 1500]],
    ])(
      'that go over it without a zone are refused, and the options decide: %s',
      async (_what, zone, times, minutes) => {
        const content = at(...times);
        expect(await errorOf(content)).toMatch(
          /expected a time with a zone, because the clocks of \S+ and of its neighbours change at this time, or since the row before: --time-zone \S+ reads local times, --time-zone UTC reads them as written/,
        );
        expect(minutesOf((await read(content, { timeZone: zone })).times)).toEqual(minutes);
        expect((await read(content, { timeZone: 'UTC' })).times).toHaveLength(times.length);
      },
    );

    test.each<[string, readonly string[]]>([
      ['rows at any times', ['2025-10-26 00:59', '2025-10-26 02:10', '2025-10-26 02:40', '2025-10-26 04:00']],
      ['a database that stores the hour once', ['2025-10-26 01:00', '2025-10-26 02:00', '2025-10-26 03:00']],
      ['the end of the file', ['2025-10-26 01:00', '2025-10-26 02:00']],
    ])(
      'that can be in either of the two hours are refused with a zone, and the offset decides: %s',
      async (_what, times) => {
        const timeZone = 'Europe/Berlin';
        expect(await errorOf(at(...times), { timeZone })).toMatch(
          /expected a row before it that shows in which hour "2025-10-26 02:\d0" is, because it occurs twice in Europe\/Berlin: write the times of this hour with their offset, such as 2025-10-26T02:10:00\+02:00, or delete its rows/,
        );
        const second = times.map((time) => (time.includes(' 02:') ? `${time}+01:00` : time));
        const [first, ...later] = minutesOf((await read(at(...second), { timeZone })).times);
        expect(first).toBe(0);
        expect(later[0]).toBe(times[0]?.endsWith('59') ? 131 : 120);
        expect(await read(at(...times.filter((time) => !time.includes(' 02:'))), { timeZone })).toBeDefined();
      },
    );

    test.each<[string, readonly string[], number]>([
      ['every minute', ['2024-10-31 23:58', '2024-10-31 23:59', '2024-10-31 23:00'], 2],
      ['every hour', ['2024-10-31 22:00', '2024-10-31 23:00', '2024-10-31 23:00'], 120],
    ])('that go back by the hour of a further zone are refused without one: %s', async (_what, times, minutes) => {
      expect(await errorOf(at(...times))).toMatch(
        /FILE:4: .*expected a later time than in the row before; in autumn an hour occurs twice: --time-zone/,
      );
      expect(minutesOf((await read(at(...times), { timeZone: 'Africa/Cairo' })).times)[2]).toBe(minutes);
    });

    test('in spring are UTC if they have rows in the hour that local clocks leave out', async () => {
      const days = Array.from({ length: 59 * 48 }, (_, half) =>
        new Date(Date.UTC(2026, 1, 1, 0, 30 * half)).toISOString().slice(0, 16),
      );
      expect((await read(at(...days))).times[days.length - 1]).toBe(Date.UTC(2026, 2, 31, 23, 30));
    });

    test('in spring are read with a zone, and a time that does not exist is refused', async () => {
      const { times } = await read(spring, { timeZone: 'Europe/Berlin' });
      expect(times.map((timeMs) => ((timeMs ?? 0) - Date.UTC(2026, 2, 29, 0, 58)) / 60_000)).toEqual([0, 1, 2, 3]);
      expect(await errorOf(minutesAt('29.03.2026', '02:30'), { timeZone: 'Europe/Berlin' })).toContain(
        'expected a time that exists in Europe/Berlin: clocks were put forward over it',
      );
    });

    test('that mix zones and none are refused, and the option names the zone of the others', async () => {
      const mixed = at('2026-03-02T06:00:00Z', '2026-03-02T07:00:01');
      expect(await errorOf(mixed)).toContain(
        `FILE:3: column 'time' holds "2026-03-02T07:00:01", expected a time with a zone, as in the rows before; --time-zone names the zone of times that have none`,
      );
      expect((await read(mixed, { timeZone: 'Europe/Berlin' })).times).toEqual([START_MS, START_MS + 1000]);
    });
  });
});

describe('the head of a file', () => {
  const rows = '2026-03-02T06:00:00Z;1,5\n2026-03-02T06:00:01Z;2,5\n';

  test.each<[string, string]>([
    ['sep=;', `sep=;\r\ntime;a\r\n${rows}`],
    ['sep=; in quotes', `"sep=;"\ntime;a\n${rows}`],
    ['lines above the header', `Line 2, hall 4\nExported: 2026-03-02\n\ntime;a\n${rows}`],
    ['a row of units', `time;a\nUTC;kPa\n${rows}`],
    ['rows of units and descriptions', `time;a\n;kPa\nof the PLC;Pressure behind the pump\n${rows}`],
    ['an empty column at the end of the header', `time;a;\n${rows}`],
    ['an empty column at the end of the rows', `time;a\n${rows.replaceAll('\n', ';\n')}`],
    ['a line below the rows', `time;a\n${rows}End of the export\n`],
    ['totals below the rows', `time;a\n${rows}Total;4,0\nMean;2,0\n`],
    ['separators in the lines below the rows', `time;a\n${rows};\n;4,0\nEnd of the export;\n`],
    ['a row of units above the names', `UTC;kPa\ntime;a\n${rows}`],
    ['rows of units above and below the names', `;Pressure behind the pump\ntime;a\n;kPa\n${rows}`],
    ['sep=|', `sep=|\r\ntime|a\r\n${rows.replaceAll(';', '|')}`],
    ['bars between the columns', `time|a\n${rows.replaceAll(';', '|')}`],
    ['tabs between the columns', `time\ta\n${rows.replaceAll(';', '\t')}`],
  ])('may have %s', async (_what, content) => {
    expect(await read(content)).toMatchObject({
      columns: ['a'],
      values: [1.5, 2.5],
      times: [START_MS, START_MS + 1000],
    });
  });

  test('may have line breaks in quoted names, which are spaces', async () => {
    const content = `"time\r\n(UTC)";"Pressure\n[bar]"\n${rows}`;
    const { columns, values, times } = await read(content, { timeColumn: 'time (UTC)' });
    expect({ columns, values, times }).toEqual({
      columns: ['Pressure [bar]'],
      values: [1.5, 2.5],
      times: [START_MS, START_MS + 1000],
    });
    expect((await read(`Line 2\n${content}`, { timeColumn: 'time (UTC)', headerLine: 2 })).values).toEqual([1.5, 2.5]);
  });

  test('that has units above the names is found by a column that is sought', async () => {
    const content = 'rpm;kPa\nspeed;pressure\n1,5;2\n2,5;3\n';
    expect((await read(content, { columns: ['pressure'] })).values).toEqual([2, 3]);
  });

  test.each<[string, string, string]>([
    ['another separator is named', 'sep=:\ntime:a\n1:2\n', 'FILE:1: the separator is :, expected ; , | or a tab'],
    [
      'spaces are named with what replaces them',
      'time a b\n2026-03-02T06:00:00Z  1.5 2\n2026-03-02T06:00:01Z 12.5 3\n',
      "FILE:1: the columns are separated by spaces, expected ; , | or a tab: sed -E 's/ +/;/g' FILE > new.csv writes semicolons",
    ],
  ])('%s', async (_what, content, message) => {
    expect(await errorOf(content)).toContain(message);
  });

  test('rows that follow a line without a time make it an error', async () => {
    expect(await errorOf(`time;a\n${rows}Total;4,0\n${rows}`)).toContain(
      `FILE:4: column 'time' holds "Total", expected a time such as`,
    );
  });

  test('that is not found is named by the option', async () => {
    const content = `Station;North\nUnit;Line 2\ntime;a\n${rows}`;
    expect((await read(content, { headerLine: 3 })).values).toEqual([1.5, 2.5]);
    expect((await read(content, { headerLine: 3 })).notes).toEqual([
      'the header is line 3; the lines above it are not read',
    ]);
  });

  test.each<[string, Uint8Array]>([
    ['UTF-16, little endian', Buffer.from(`\uFEFFtime;Druck µ\n${rows}`, 'utf16le')],
    ['UTF-16, big endian', Buffer.from(`\uFEFFtime;Druck µ\n${rows}`, 'utf16le').swap16()],
    ['UTF-16 without a mark', Buffer.from(`time;Druck µ\n${rows}`, 'utf16le')],
    ['UTF-8', Buffer.from(`time;Druck µ\n${rows}`)],
    ['UTF-8 with a mark', Buffer.from(`\uFEFFtime;Druck µ\n${rows}`)],
    ['Latin-1', Buffer.from(`time;Druck µ\n${rows}`, 'latin1')],
  ])('may be %s', async (_what, content) => {
    expect(await read(content)).toMatchObject({ columns: ['Druck µ'], values: [1.5, 2.5] });
  });
});

describe('words among numbers', () => {
  const words = [
    'Pt Created',
    'Comm Fail',
    'Over Range',
    '[-11059] No Good Data For Calculation',
    '#VALUE!',
    '***',
    'Inf',
    '?',
  ];

  test('of historians and spreadsheets are missing values', async () => {
    const content = `a;b\n1,5;1\n${words.map((word) => `${word};1\n`).join('')}2,5;1\n`;
    expect((await read(content)).values).toEqual([1.5, ...words.map(() => Number.NaN), 2.5]);
  });

  test('that are unknown are named together, and the option makes them missing', async () => {
    const content = 'a;b\n1,5;1\nGestört;1\n2,5;1\nWartung;1\n';
    expect(await errorOf(content, { columns: ['a'] })).toContain(
      `FILE:3: column 'a' holds "Gestört", expected a number with a decimal comma; the column also holds "Wartung". --missing 'Gestört,Wartung' reads them as missing`,
    );
    expect((await read(content, { columns: ['a'], missing: ['gestört', 'Wartung'] })).values).toEqual([
      1.5,
      Number.NaN,
      2.5,
      Number.NaN,
    ]);
  });

  test('with a comma are named in quotation marks', async () => {
    expect(await errorOf('a;b\n1,5;1\nBad, old;1\n', { columns: ['a'] })).toContain(
      `--missing '"Bad, old"' reads them as missing`,
    );
  });

  test('that are states of a switch are named alone', async () => {
    const content = 'a;b\nON;1\nOFF;2\nFault;3\n';
    expect(await errorOf(content, { columns: ['a'] })).toContain(
      `FILE:2: column 'a' holds "ON", expected a number with a decimal point; the column also holds "OFF", "Fault". --missing 'Fault' reads them as missing, and ON and OFF as 1 and 0`,
    );
    expect((await read(content, { columns: ['a'], missing: ['Fault'] })).values).toEqual([1, 0, Number.NaN]);
  });

  test.each(['1242,42 *', '12,5?', '12,5 (Q)', '1.242,4 #'])(
    '%s is a number with a mark, which is missing',
    async (cell) => {
      expect((await read(`a;b\n1,5;1\n${cell};2\n`, { columns: ['a'] })).values).toEqual([1.5, Number.NaN]);
    },
  );

  test.each(['12,5 kPa', '20,1°C', '45 %', '3,2 m3'])('a unit is named: %s', async (cell) => {
    expect(await errorOf(`a;b\n1,5;1\n${cell};2\n`, { columns: ['a'] })).toMatch(
      /Remove the unit '\S+' from the cells$/,
    );
  });

  test('ON and OFF are 1 and 0 if the column has nothing else', async () => {
    expect((await read('a;b\nON;1\noff;2\n;3\n')).values).toEqual([1, 0, Number.NaN]);
    expect(await errorOf('a;b\nON;1\n5;2\n', { columns: ['a'] })).toContain(`FILE:2: column 'a' holds "ON"`);
  });

  test('a column of text is shown in the error if no column holds numbers', async () => {
    expect(await errorOf('time;a\n2026-03-02T06:00:00Z;running\n')).toContain(
      'no column holds numbers; \'a\' holds "running"',
    );
  });
});

describe('a file with one value a line', () => {
  const line = (name: string, second: number, value: string, valid = 1) =>
    `"${name}";"02.03.2026 06:00:0${second}";${value};${valid};4608325000${second}.0\n`;
  const header = '"VarName";"TimeString";"VarValue";"Validity";"Time_ms"\n';
  const footer = '"$RT_OFF$";"02.03.2026 06:10:00";0;2;46083256944,4444\n';
  const wanted = { columns: ['power', 'pressure'] };

  test.each<[string, string]>([
    [
      'by time',
      [line('power', 0, '1,5'), line('pressure', 0, '2,5'), line('power', 1, '3,5'), line('pressure', 1, '4,5')].join(
        '',
      ),
    ],
    [
      'by name',
      [line('power', 0, '1,5'), line('power', 1, '3,5'), line('pressure', 0, '2,5'), line('pressure', 1, '4,5')].join(
        '',
      ),
    ],
  ])('ordered %s has a row for each time', async (_what, lines) => {
    for (const options of [wanted, {}]) {
      const { columns, rows, times } = await read(`${header}${lines}${footer}`, options);
      expect(columns).toEqual(wanted.columns);
      expect(rows).toEqual([
        [1.5, 2.5],
        [3.5, 4.5],
      ]);
      expect(times).toEqual([START_MS, START_MS + 1000]);
    }
  });

  test('has missing values where a name has none, or an invalid one', async () => {
    const lines = [line('power', 0, '1,5'), line('power', 1, '3,5', 0), line('pressure', 1, '4,5')].join('');
    expect((await read(`${header}${lines}`, wanted)).rows).toEqual([
      [1.5, Number.NaN],
      [Number.NaN, 4.5],
    ]);
  });

  test('names the values that it has if one is not there', async () => {
    const lines = [line('power', 0, '1,5'), line('flow', 0, '2,5')].join('');
    expect(await errorOf(`${header}${lines}`, wanted)).toContain(
      "there is no column 'pressure'; the header has: power, flow",
    );
  });
});

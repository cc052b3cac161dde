import { describe, expect, test } from 'vitest';
import { errorOf, read } from '../support/csv-fields.ts';

/*
 * Files as programs in plants and offices export them. What the columns prove is read; what they leave open is refused with both
 * readings and the option that decides.
 */
const START_MS = Date.UTC(2026, 2, 2, 6);

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
    ['three decimals next to others', 't;a\nx;1.198\nx;0.912\n', [1.198, 0.912]],
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

  test('columns that are not requested may hold anything', async () => {
    const content = 'time;a;b;b;c\n2026-03-02T06:00:00Z;1,5;1.198;x;"1\n2026-03-02T06:00:01Z;2,5;898;y;2\n';
    expect((await read(content.replace('"', ''), { columns: ['a'] })).values).toEqual([1.5, 2.5]);
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
    ['lines about the report with as many cells', `Report;Line 2\nExported;2026-03-02\ntime;a\n${rows}`],
    ['a number sign before the names', `#time;a\n${rows}`],
    ['carriage returns as line ends', `time;a\n${rows}`.replaceAll('\n', '\r')],
    [
      'formulas and apostrophes that keep cells as they are',
      `time;a\n${rows.replace('1,5', '="1,5"').replace('2,5', "'2,5")}`,
    ],
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

  test('that holds values is named', async () => {
    expect(await errorOf(rows)).toContain(
      'FILE:1: this line holds values; expected the names of the columns. --header-line names their line; a file without names needs a first line such as time;power',
    );
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

  test('that are negative numbers in other notations are named', async () => {
    for (const cell of ['(12,5)', '12,5-'])
      expect(await errorOf(`a;b\n1,5;1\n${cell};2\n`, { columns: ['a'] })).toContain(
        'Write a negative number with a minus in front',
      );
  });

  test('that are the whole column are not numbers with any option', async () => {
    expect(await errorOf('a;b\nRunning;1\nStopped;2\n', { columns: ['a'] })).toContain(
      'The column holds words only: replace them by numbers, or leave it out',
    );
  });

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

  test('without a known time column is refused: it would mix the values of all names', async () => {
    const content = 'entity_id,state,when\nsensor.a,1.5,2026-03-02T06:00:00Z\nsensor.b,2.5,2026-03-02T06:00:00Z\n';
    expect(await errorOf(content)).toContain(
      'FILE:1: this looks like one value a line, and no column is known to hold the times: --time names it',
    );
    expect((await read(content, { timeColumn: 'when' })).rows).toEqual([[1.5, 2.5]]);
    expect((await read(content.replace('when', 'last_changed'))).rows).toEqual([[1.5, 2.5]]);
  });

  test('with times as numbers has its header in the first line', async () => {
    const content = 'name;time;value\npower;1772431200;1,5\npressure;1772431200;2,5\n';
    expect((await read(content, wanted)).rows).toEqual([[1.5, 2.5]]);
  });

  test('has missing values if a name has none, or an invalid one', async () => {
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

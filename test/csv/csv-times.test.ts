import { describe, expect, test } from 'vitest';
import { errorOf, read } from '../support/csv-fields.ts';

/*
 * Times in any notation, and over a change of the clocks: no time is an hour off without an option that decides.
 */
const START_MS = Date.UTC(2026, 2, 2, 6);

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
    ['LabVIEW', '3855276000', '3855276001'],
    ['17 digits', '20260302060000000', '20260302060001000'],
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

  test('that are not a time from 2000 to 2064 in any unit are refused, and the option decides', async () => {
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

  test('that are 8 or 12 digits are dates', async () => {
    expect((await read(at('20260302', '20260303'))).times[0]).toBe(Date.UTC(2026, 2, 2));
    expect((await read(at('202603020600', '202603020601'))).times[0]).toBe(START_MS);
    expect(await errorOf(at('260302060000', '260302060001'))).toContain('--time-unit names the unit');
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
          /expected a time with a zone, because the clocks of \S+ and of its neighbours change at this time, or since the row before: --time-zone names the zone of the times, such as \S+; --time-zone UTC reads them as written/,
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

    test('that go down are refused in the hour that occurs twice', async () => {
      const times = ['2025-10-26 03:00', '2025-10-26 02:00', '2025-10-26 02:00', '2025-10-26 01:00'];
      expect(await errorOf(at(...times), { timeZone: 'Europe/Berlin' })).toContain(
        'FILE:3: column \'time\' holds "2025-10-26 02:00", expected rows in the order of time',
      );
    });

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

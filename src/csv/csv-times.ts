import { ClockChanges, ownTimeZone } from '../domain/clock-changes.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { dateOrdersOf, type DateOrder, parseTimeText } from '../domain/time-text.ts';
import { epochMsOf, isLocalUnit, isPlausibleIn, timeUnitOf, type TimeUnit } from '../domain/time-unit.ts';
import { timesOfLocal } from '../domain/time-zone.ts';

export type TimeOptions = {
  /** Undefined: the unit by which the numbers are times from 2000 to 2064. */
  readonly unit: TimeUnit | undefined;
  /** Zone of times without one; undefined reads them as UTC. */
  readonly zone: string | undefined;
  /** Order of `03/04/2026`; undefined: as the column proves. */
  readonly order: DateOrder | undefined;
};

/** What is wrong with the time in a cell, as text that follows 'expected'. */
export type TimeFault = { readonly expected: string };

/** Seconds from the start of a recording are smaller than Excel days after the year 2000. */
const ELAPSED_MAX = 36_526;
/** Longest step back that an hour which occurs twice can cause. */
const HOUR_MS = 3_600_000;

/** Reads the times of a column in the order of the rows. */
export class TimeReader {
  readonly #options: TimeOptions;
  #previousMs = -Infinity;
  #stepMs = Number.NaN;
  /** Unit of numbers, which the first one proves; 'elapsed' is seconds from any start. */
  #unit: TimeUnit | 'elapsed' | undefined;
  /** Whether the times of the rows before have a zone; undefined before the first. */
  #zoned: boolean | undefined;
  /** Undefined until the first time without a zone, and with an option that names the zone. */
  #changes: ClockChanges | undefined;
  /** A cell of the hour that occurs twice, while no row shows that it is the first or the second. */
  #eitherHour: string | undefined;

  constructor(options: TimeOptions) {
    this.#options = options;
    this.#unit = options.unit;
  }

  /** True if the times are seconds from an unknown start, which are read as if it were 1970. */
  get isElapsed(): boolean {
    return this.#unit === 'elapsed';
  }

  /** True if numbers were read as days of Excel and no option names the unit. */
  get assumesExcel(): boolean {
    return this.#unit === 'excel' && this.#options.unit === undefined;
  }

  /** True if times without a zone were read as UTC. */
  get assumesUtc(): boolean {
    return this.#zoned === false && this.#options.zone === undefined;
  }

  /** Returns a fault if the rows so far have a time that can be either of two, and no later row can decide. */
  end(): TimeFault | undefined {
    if (this.#eitherHour === undefined) return undefined;
    return {
      expected: `a row before it that shows in which hour ${JSON.stringify(this.#eitherHour)} is, because it occurs twice in ${this.#options.zone ?? ''}: write the times of this hour with their offset, such as 2025-10-26T02:10:00+02:00, or delete its rows`,
    };
  }

  read(cell: string): EpochMs | TimeFault {
    const timeMs = this.#parse(cell);
    if (typeof timeMs !== 'number') return timeMs;
    const fault = this.assumesUtc ? this.#clockChange(timeMs) : undefined;
    if (fault !== undefined) return fault;
    this.#stepMs = timeMs - this.#previousMs;
    this.#previousMs = timeMs;
    return timeMs;
  }

  /** @returns A fault if the times without a zone go over a change of the clocks: an hour is missing or occurs twice. */
  #clockChange(localMs: number): TimeFault | undefined {
    this.#changes ??= new ClockChanges(ownTimeZone());
    const zone = this.#changes.changedZone(localMs);
    const options = `--time-zone names the zone of the times, such as ${zone ?? 'Europe/Berlin'}; --time-zone UTC reads them as written`;
    if (zone !== undefined)
      return {
        expected: `a time with a zone, because the clocks of ${zone} and of its neighbours change at this time, or since the row before: ${options}`,
      };
    // In any other zone, the hour that occurs twice looks as if the rows went back by it.
    const backMs = this.#previousMs + this.#stepMs - localMs;
    if (localMs > this.#previousMs || Math.abs(backMs - HOUR_MS) >= this.#stepMs / 2 + 1) return undefined;
    return { expected: `a later time than in the row before; in autumn an hour occurs twice: ${options}` };
  }

  #parse(cell: string): EpochMs | TimeFault {
    const number = numberOfTime(cell, this.#options.unit);
    if (number !== undefined) return this.#parseNumber(number, cell);
    const written = parseTimeText(cell, this.#options.order);
    if (written === undefined) return timeFault(cell);
    const { localMs, offsetMs } = written;
    return offsetMs === undefined ? this.#atLocal(localMs, cell) : (this.#noteZone(true) ?? localMs - offsetMs);
  }

  #parseNumber(number: number, cell: string): EpochMs | TimeFault {
    const found = timeUnitOf(number) ?? (number < ELAPSED_MAX ? 'elapsed' : undefined);
    this.#unit ??= found;
    const unit = this.#unit;
    if (unit === 'elapsed') return this.#noteZone(true) ?? number * 1000;
    // An option is obeyed; what the first number proved must fit the others.
    if (unit === undefined || (this.#options.unit === undefined && found !== unit)) {
      const range = 'a time from 2000 to 2064 as a number of s, ms, µs, ns, a FILETIME, ticks of .NET, or Excel days';
      const as = unit === undefined ? '' : `, in ${unit} as in the rows before`;
      const option = isPlausibleIn(number, 'matlab')
        ? '--time-unit matlab reads days of MATLAB, which are 366 days more than those of Python'
        : '--time-unit names the unit';
      return { expected: `${range}${as}; ${option}` };
    }
    const timeMs = epochMsOf(number, unit);
    return isLocalUnit(unit) ? this.#atLocal(timeMs, cell) : (this.#noteZone(true) ?? timeMs);
  }

  #atLocal(localMs: number, cell: string): EpochMs | TimeFault {
    const { zone } = this.#options;
    if (zone === undefined) return this.#noteZone(false) ?? localMs;
    const times = timesOfLocal(localMs, zone);
    const [first] = times;
    if (first === undefined) return { expected: `a time that exists in ${zone}: clocks were put forward over it` };
    if (times.length > 1 && times.every((each) => each < this.#previousMs))
      return {
        expected: `rows in the order of time, because an hour occurs twice in ${zone}: sort the rows, or write the times of this hour with their offset`,
      };
    const timeMs = times.find((each) => each > this.#previousMs) ?? first;
    const fault = times.length === 1 ? this.end() : undefined;
    if (fault !== undefined) return fault;
    // Only a row that goes back proves which hour it is.
    if (timeMs !== first) this.#eitherHour = undefined;
    else if (times.length > 1) this.#eitherHour ??= cell;
    return timeMs;
  }

  /** @returns A fault if some times of a column have a zone and others have none, and no option names it. */
  #noteZone(zoned: boolean): TimeFault | undefined {
    const before = this.#zoned;
    this.#zoned ??= zoned;
    if (this.#options.zone !== undefined || before === undefined || before === zoned) return undefined;
    const what = zoned ? 'without a zone, as in the rows before' : 'with a zone, as in the rows before';
    return { expected: `a time ${what}; --time-zone names the zone of times that have none` };
  }
}

/** Returns the order of day and month that the cell proves; undefined if it proves none. */
export function provenOrder(cell: string): DateOrder | undefined {
  const orders = dateOrdersOf(cell);
  return orders.length === 1 ? orders[0] : undefined;
}

/** True if day and month of the cell could be each other. Points separate them as day, month, year. */
export function isOpenDate(cell: string): boolean {
  return dateOrdersOf(cell).length > 0 && parseTimeText(cell) === undefined;
}

/** True if the cell is a time in any notation, but not just a number. */
export function isTimeText(cell: string): boolean {
  return numberOfTime(cell) === undefined && (parseTimeText(cell) !== undefined || dateOrdersOf(cell).length > 0);
}

/** A number of days or a count. Digits that are a date, such as 20260302, and no time in any unit are a text. */
function numberOfTime(cell: string, unit?: TimeUnit): number | undefined {
  if (!/^\d+([.,]\d+)?$/.test(cell)) return undefined;
  const number = Number(cell.replace(',', '.'));
  const isDate = unit === undefined && cell.length >= 8 && timeUnitOf(number) === undefined;
  const written = isDate ? parseTimeText(cell) : undefined;
  return written !== undefined && isPlausibleIn(written.localMs, 'ms') ? undefined : number;
}

function timeFault(cell: string): TimeFault {
  if (!isOpenDate(cell)) return { expected: 'a time such as 2026-01-31T23:59:59Z' };
  const readings = (['dmy', 'mdy'] as const).flatMap((order) => {
    const written = parseTimeText(cell, order);
    return written === undefined ? [] : [`${new Date(written.localMs).toISOString().slice(0, 10)} (${order})`];
  });
  return { expected: `a date that can be read in one way only, not ${readings.join(' or ')}: --date-order decides` };
}

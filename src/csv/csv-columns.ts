import type { DateOrder } from '../domain/time-text.ts';
import type { TimeUnit } from '../domain/time-unit.ts';
import { OperatingError } from '../platform/errors.ts';
import type { CsvHead } from './csv-layout.ts';
import {
  type Decimal,
  isAnyNumber,
  isMissing,
  isOtherMinus,
  provenDecimal,
  readBoolean,
  readNumber,
  unitOf,
} from './csv-numbers.ts';
import type { CsvRecord } from './csv-records.ts';
import { isOpenDate, provenOrder, type TimeFault, type TimeOptions, type TimeReader } from './csv-times.ts';

/** How to read what a file leaves open; undefined: as its columns prove. */
export type CsvNotation = {
  readonly decimal?: Decimal | undefined;
  readonly timeUnit?: TimeUnit | undefined;
  /** Zone of times without one. Default: UTC. */
  readonly timeZone?: string | undefined;
  readonly dateOrder?: DateOrder | undefined;
  /** Line of the header in the file, from 1. */
  readonly headerLine?: number | undefined;
  /** Further words for a missing value. */
  readonly missing?: readonly string[] | undefined;
};

type Column = {
  /** Proven by a cell of the column. */
  readonly decimal: Decimal | undefined;
  /** Every word of the sample is ON, OFF, true or false. */
  readonly isBoolean: boolean;
};

export type CsvColumnsOptions = {
  readonly path: string;
  readonly head: CsvHead;
  readonly sample: readonly CsvRecord[];
  readonly notation: CsvNotation;
  /** Reads the rows from the first one. */
  readonly records: () => AsyncIterable<CsvRecord>;
};

/** Unreadable words that are named in an error. */
const WORDS_MAX = 10;
const SHOWN_MAX = 80;

/**
 * Reads the cells of a file by the notation of their columns.
 *
 * A cell that is a number in two ways (1,206 or 1.198) is read as the other cells of its column prove; the whole file is searched
 * for them when the first such cell is read. What no cell proves is refused with both readings.
 */
export class CsvColumns {
  readonly #options: CsvColumnsOptions;
  readonly #missing: ReadonlySet<string>;
  readonly #columns: Column[];
  /** Proven by any column of the sample, if no two contradict each other. */
  readonly #usual: Decimal | undefined;

  constructor(options: CsvColumnsOptions) {
    const { head, sample, notation } = options;
    this.#options = options;
    this.#missing = new Set(notation.missing?.map((word) => word.trim().toLowerCase()));
    this.#columns = head.headers.map((_name, index) => {
      const cells = sample.map((record) => record.cells[index] ?? '');
      return { decimal: firstProof(cells), isBoolean: this.#isBoolean(cells) };
    });
    const proven = new Set(this.#columns.flatMap(({ decimal }) => decimal ?? []));
    this.#usual = proven.size === 1 ? [...proven][0] : undefined;
  }

  /** Decimal separator of the file. */
  get decimal(): Decimal {
    return this.#options.notation.decimal ?? this.#usual ?? '.';
  }

  /** A text column has no number in the sample. A column that is empty there may hold numbers later. */
  holdsText(index: number): boolean {
    const cells = this.#options.sample.map(({ cells: row }) => row[index] ?? '');
    const isNumber = (cell: string) =>
      !this.isMissing(cell) && (isAnyNumber(cell) || this.#boolean(index, cell) !== undefined);
    return !cells.some(isNumber) && cells.some((cell) => !this.isMissing(cell));
  }

  isMissing(cell: string): boolean {
    return isMissing(cell, this.#missing);
  }

  /** @returns NaN for a missing value; undefined if `decide` must look at the cell. */
  number(index: number, cell: string): number | undefined {
    const value = readNumber(cell, this.#decimalOf(index), this.#hasGroups(index));
    if (typeof value === 'number' && !this.#isOpen(index, cell)) return value;
    return this.#boolean(index, cell) ?? (this.isMissing(cell) ? Number.NaN : undefined);
  }

  /**
   * Reads a cell that is not a number by what is known of its column, after a search of the whole column.
   *
   * @throws {OperatingError} 'csv-value-invalid' (reject).
   */
  async decide(index: number, cell: string, line: number): Promise<number> {
    const { head, notation } = this.#options;
    const column = head.headers[index] ?? '';
    const proven = notation.decimal ?? (await this.#search(index, (each) => decimalOf(provenDecimal(each))));
    const current = this.#columns[index];
    if (proven !== undefined && current !== undefined) this.#columns[index] = { ...current, decimal: proven };
    const value = this.number(index, cell);
    if (value !== undefined) return value;
    if (provenDecimal(cell) === 'open') throw this.#invalid(line, column, cell, twoReadings(cell));
    const kind = `a number with a decimal ${this.#decimalOf(index) === '.' ? 'point' : 'comma'}`;
    if (isAnyNumber(cell)) throw this.#invalid(line, column, cell, kind);
    const words = await this.#unreadableWords(index);
    const others = words.filter((word) => word !== cell).map((word) => JSON.stringify(word));
    const more = others.length === 0 ? '' : `; the column also holds ${others.join(', ')}`;
    throw this.#invalid(line, column, cell, `${kind}${more}. ${this.#remedy(index, cell, words)}`);
  }

  /** @throws {OperatingError} 'csv-value-invalid' (reject). */
  time(reader: TimeReader, line: number, index: number, cell: string): number {
    const time = reader.read(cell);
    if (typeof time === 'number') return time;
    throw this.#timeInvalid(time, line, index, cell);
  }

  /**
   * Checks after the last row that each time has one reading.
   *
   * @throws {OperatingError} 'csv-value-invalid' (reject).
   */
  timesEnd(reader: TimeReader, line: number, index: number, cell: string): void {
    const fault = reader.end();
    if (fault !== undefined) throw this.#timeInvalid(fault, line, index, cell);
  }

  /** Returns how the times of a column are read. Searches the whole column if day and month could be each other. */
  async timeOptions(index: number): Promise<TimeOptions> {
    const { notation, sample } = this.#options;
    const isOpen = sample.some(({ cells }) => isOpenDate(cells[index] ?? ''));
    const order = notation.dateOrder ?? (isOpen ? await this.#search(index, provenOrder) : undefined);
    return { unit: notation.timeUnit, zone: notation.timeZone, order };
  }

  /** Returns why no column can be read, with a cell of the first one. */
  noNumbersText(names: readonly string[]): string {
    const { head, sample } = this.#options;
    const [name] = names;
    if (name === undefined) return 'no column holds numbers';
    const index = head.headers.indexOf(name);
    const cell = sample.map(({ cells }) => cells[index] ?? '').find((each) => !this.isMissing(each)) ?? '';
    const remedy = unitOf(cell) === undefined ? '' : `. ${this.#remedy(index, cell, [])}`;
    return `no column holds numbers; '${name}' holds ${JSON.stringify(cell.slice(0, SHOWN_MAX))}${remedy}`;
  }

  #decimalOf(index: number): Decimal {
    return this.#options.notation.decimal ?? this.#columns[index]?.decimal ?? this.decimal;
  }

  /** True if the other separator of the column can only group thousands. */
  #hasGroups(index: number): boolean {
    return this.#options.notation.decimal !== undefined || this.#columns[index]?.decimal !== undefined;
  }

  /** True if nothing in the file proves decimals or thousands. A file with commas has points as decimals. */
  #isOpen(index: number, cell: string): boolean {
    if (this.#hasGroups(index) || this.#usual !== undefined || provenDecimal(cell) !== 'open') return false;
    return this.#options.head.separator !== ',' || cell.includes(',');
  }

  #boolean(index: number, cell: string): number | undefined {
    return readBoolean(cell, this.#columns[index]?.isBoolean === true);
  }

  #isBoolean(cells: readonly string[]): boolean {
    const words = cells.filter((cell) => !this.isMissing(cell));
    return words.length > 0 && words.every((cell) => readBoolean(cell, true) !== undefined);
  }

  /** Returns the first proof in the whole column. */
  async #search<T>(index: number, proof: (cell: string) => T | undefined): Promise<T | undefined> {
    for await (const { cells } of this.#options.records()) {
      const found = proof(cells[index] ?? '');
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #unreadableWords(index: number): Promise<readonly string[]> {
    const words = new Set<string>();
    for await (const { cells } of this.#options.records()) {
      const cell = cells[index] ?? '';
      if (this.number(index, cell) === undefined && !isAnyNumber(cell)) words.add(cell.slice(0, SHOWN_MAX));
      if (words.size >= WORDS_MAX) break;
    }
    return [...words];
  }

  /** Returns what makes a column with words readable. */
  #remedy(index: number, cell: string, words: readonly string[]): string {
    const unit = unitOf(cell);
    if (unit !== undefined) return `Remove the unit '${unit}' from the cells`;
    if (isOtherMinus(cell)) return 'Write a negative number with a minus in front';
    const states = words.filter((word) => readBoolean(word, true) === undefined);
    const isSwitch = states.length > 0 && states.length < words.length;
    if (!isSwitch && this.holdsText(index))
      return 'The column holds words only: replace them by numbers, or leave it out';
    const rest = isSwitch ? ', and ON and OFF as 1 and 0 if the column has no numbers' : '';
    return `--missing '${wordList(isSwitch ? states : words)}' reads them as missing${rest}`;
  }

  #timeInvalid({ expected }: TimeFault, line: number, index: number, cell: string): OperatingError {
    return this.#invalid(line, this.#options.head.headers[index] ?? '', cell, expected);
  }

  #invalid(line: number, column: string, cell: string, expected: string): OperatingError {
    const found = JSON.stringify(cell.slice(0, SHOWN_MAX));
    const message = `${this.#options.path}:${line}: column '${column}' holds ${found}, expected ${expected}`;
    return new OperatingError('csv-value-invalid', 'reject', message);
  }
}

/** Returns words for `--missing` in a shell. */
function wordList(words: readonly string[]): string {
  const quoted = words.map((word) => (/[",]/.test(word) ? `"${word.replaceAll('"', '""')}"` : word));
  return quoted.join(',').replaceAll("'", String.raw`'\''`);
}

function firstProof(cells: readonly string[]): Decimal | undefined {
  for (const cell of cells) {
    const proven = decimalOf(provenDecimal(cell));
    if (proven !== undefined) return proven;
  }
  return undefined;
}

function decimalOf(proven: Decimal | 'open' | undefined): Decimal | undefined {
  return proven === 'open' ? undefined : proven;
}

function twoReadings(cell: string): string {
  const whole = cell.replace(/[.,]/, '');
  const part = cell.replace(',', '.');
  const point = cell.includes(',') ? ',' : '.';
  return `a number that can be read in one way only, not as ${whole} or ${part}: --decimal '${point}' reads ${part}, --decimal '${point === ',' ? '.' : ','}' reads ${whole}`;
}

import { type CsvLine, parseCsvTable } from '../csv/csv-table.ts';
import { simplified } from '../domain/nearest-word.ts';
import { registersOf, type ValueType } from '../sources/modbus/frame/register-decode.ts';
import {
  ImportDraft,
  type ImportSettings,
  type RegisterKind,
  type Report,
  type TagImport,
  type TagKeys,
} from './imported-tags.ts';
import { tableOf } from './number-notation.ts';
import { linearScaling, type Scaling, squareRootExpression } from './scaling.ts';

/** Types of Kepware's Modbus drivers. */
const types: Readonly<Record<string, ValueType | 'string'>> = {
  boolean: 'bool',
  char: 'int8',
  byte: 'uint8',
  short: 'int16',
  word: 'uint16',
  long: 'int32',
  dword: 'uint32',
  llong: 'int64',
  qword: 'uint64',
  float: 'float32',
  double: 'float64',
  bcd: 'bcd16',
  lbcd: 'bcd32',
  string: 'string',
};

/** Reads an export of the tags of a Modbus device of Kepware KEPServerEX (CSV). */
export function readKepware(text: string, settings: ImportSettings): TagImport {
  const draft = new ImportDraft();
  const lines = text.split(/\r\n|\n|\r/);
  const start = lines.findIndex((line) => /^"?tag name"?\s*[,;\t]/i.test(line.replace(/^\uFEFF/, '')));
  if (start < 0) {
    const reason = 'there is no line with the columns Tag Name, Address, Data Type';
    const remedy = "export the tags of the device as CSV: Kepware's Export CSV in the tag list";
    draft.addFinding({ line: 1, found: (lines[0] ?? '').slice(0, 60), reason, remedy });
    return draft.result();
  }
  // Empty lines keep the line numbers.
  const table = parseCsvTable(lines.map((line, index) => (index < start ? '' : line)).join('\n'));
  const reader = new KepwareReader(draft, settings, columnsOf(table.header));
  draft.addBroken(table);
  const rows = table.rows.map((row) => reader.row(row));
  reader.settle(rows.filter((row) => row !== undefined));
  return draft.result();
}

type Cells = ReadonlyMap<string, number>;

function columnsOf(header: CsvLine | undefined): Cells {
  return new Map((header?.cells ?? []).map((cell, index) => [simplified(cell), index]));
}

type Row = {
  readonly name: string;
  readonly line: number;
  readonly address: KepwareAddress;
  readonly type: ValueType | 'string';
  readonly keys: Partial<TagKeys>;
};

type KepwareAddress = {
  readonly register: RegisterKind;
  /** Number of the register, 1 for 40001 with the default settings of a device. */
  readonly number: number;
  readonly bit: number | undefined;
  readonly length: number | undefined;
  readonly isLowByteFirst: boolean;
  readonly count: number | undefined;
};

/** 400001, 40001.3, 400001.20H, 40001[8], 40001[2][4]; H4000A counts in hexadecimal. */
const ADDRESS = /^(H?)([0134])([0-9A-F]{1,5})(?:\.(\d{1,3})([HL]?))?\s*((?:\[\d+\])*)$/i;

function parseAddress(text: string): KepwareAddress | undefined {
  const match = ADDRESS.exec(text.trim());
  const register = tableOf(match?.[2] ?? '');
  if (match === null || register === undefined) return undefined;
  const [, hex = '', , digits = '', part, order = '', sizes = ''] = match;
  if (hex === '' && !/^\d+$/.test(digits)) return undefined;
  const number = Number.parseInt(digits, hex === '' ? 10 : 16);
  const counts = [...sizes.matchAll(/\d+/g)].map(([size]) => Number(size));
  const isText = order !== '';
  return {
    register,
    number,
    bit: part === undefined || isText ? undefined : Number(part),
    length: isText ? Number(part) : undefined,
    isLowByteFirst: order.toUpperCase() === 'L',
    count: counts.length === 0 ? undefined : counts.reduce((product, size) => product * size, 1),
  };
}

class KepwareReader {
  readonly #draft: ImportDraft;
  readonly #settings: ImportSettings;
  readonly #columns: Cells;

  constructor(draft: ImportDraft, settings: ImportSettings, columns: Cells) {
    this.#draft = draft;
    this.#settings = settings;
    this.#columns = columns;
  }

  /** Returns what a row says; undefined if it is a finding. */
  row(line: CsvLine): Row | undefined {
    const cell = (column: string) => line.cells[this.#columns.get(column) ?? -1] ?? '';
    const name = cell('tagname');
    const report = this.#draft.reporter(line.line, name);
    const address = parseAddress(cell('address'));
    const type = this.#type(cell('datatype'), address);
    if (name === '') report(line.text.slice(0, 60), 'the row has no tag name', 'give it a name');
    else if (/^(wo|write only|w)$/i.test(cell('clientaccess')))
      report(cell('clientaccess'), 'the tag is written only', 'andon only reads; leave it out');
    else if (address === undefined)
      report(
        cell('address'),
        'this is not an address of a Modbus device',
        'expected 400001, 40001.3, 400001.20H or 40001[8]',
      );
    else if (type === undefined)
      report(cell('datatype'), 'the data type is unknown', `expected ${Object.keys(types).join(', ')}`);
    else {
      const scaling = this.#scaling(cell, report);
      if (scaling === 'refused') return undefined;
      const clamps = ['clamplow', 'clamphigh'].filter((column) => /^(1|true|yes)$/i.test(cell(column)));
      if (clamps.length > 0)
        report(
          clamps.join(', '),
          'values are not clamped by andon',
          'set range: a value outside it is uncertain',
          true,
        );
      const rate = Number(cell('scanrate'));
      const keys = {
        ...scaling,
        unit: cell('engunits') || undefined,
        scanInterval: rate > 0 ? `${rate}ms` : undefined,
      };
      return { name, line: line.line, address, type, keys };
    }
    return undefined;
  }

  /** Adds the tags, or states what the export leaves open. */
  settle(rows: readonly Row[]): void {
    const hasZero = rows.some(({ address }) => address.number === 0);
    const base = this.#settings.addressBase ?? (hasZero ? 0 : undefined);
    if (base === undefined && rows.length > 0)
      this.#draft.leaveOpen(
        'addressBase',
        'the export does not contain the device setting Zero-Based Addressing. 1: it is enabled, the default of Kepware, and 40001 is the first register. 0: it is disabled',
      );
    const wide = rows.some(({ type }) => type !== 'string' && registersOf(type) > 1);
    if (wide && this.#settings.byteOrder === undefined)
      this.#draft.leaveOpen(
        'byteOrder',
        'the export does not contain the device setting First Word Low. CDAB: it is enabled, the default of Kepware. ABCD: it is disabled',
      );
    const isBitOneBased = rows.some(({ address }) => address.bit === 16);
    for (const row of rows) this.#add(row, base ?? 1, isBitOneBased);
  }

  #add({ name, line, address, type, keys }: Row, base: number, isBitOneBased: boolean): void {
    const { register, number, bit, length, count, isLowByteFirst } = address;
    const isBits = register === 'coil' || register === 'discrete';
    const order = type === 'string' || registersOf(type) === 1 ? undefined : this.#settings.byteOrder;
    this.#draft.addTag(
      'device',
      name,
      {
        ...keys,
        register,
        address: number - base,
        type,
        length,
        count: type === 'string' ? undefined : count,
        bit: bit === undefined || isBits ? undefined : bit - (isBitOneBased ? 1 : 0),
        byteOrder: isLowByteFirst ? 'BADC' : order,
      },
      line,
    );
  }

  #type(text: string, address: KepwareAddress | undefined): ValueType | 'string' | undefined {
    const word = simplified(text).replace(/array$/, '');
    if (address === undefined) return undefined;
    if (word !== '' && word !== 'default') return types[word];
    // The driver's own choice for the address.
    if (address.length !== undefined) return 'string';
    return address.register === 'coil' || address.register === 'discrete' || address.bit !== undefined
      ? 'bool'
      : 'uint16';
  }

  #scaling(cell: (column: string) => string, report: Report): Partial<Scaling> | 'refused' {
    const mode = simplified(cell('scaling'));
    if (mode === '' || mode === 'none') return {};
    const numbers = ['rawlow', 'rawhigh', 'scaledlow', 'scaledhigh'].map((column) => numberOf(cell(column)));
    const [rawLow = NaN, rawHigh = NaN, low = NaN, high = NaN] = numbers;
    const scaling = linearScaling([rawLow, rawHigh], [low, high]);
    const found = `${cell('scaling')} ${rawLow}..${rawHigh} to ${low}..${high}`;
    if (scaling === undefined) report(found, 'the ranges give no factor', 'correct the ranges');
    else if (mode === 'squareroot') {
      const expression = squareRootExpression(`${cell('tagname')}.raw`, [rawLow, rawHigh], [low, high]);
      report(
        found,
        'a tag cannot take a square root',
        `add it by hand as ${cell('tagname')}.raw, and a derived tag: "${expression}"`,
      );
    } else if (mode !== 'linear') report(found, 'the scaling is unknown', 'expected Linear or Square Root');
    else if (!/^(1|true|yes)$/i.test(cell('negatevalue'))) return scaling;
    else return { scale: -(scaling.scale ?? 1), offset: scaling.offset === undefined ? undefined : -scaling.offset };
    return 'refused';
  }
}

function numberOf(text: string): number {
  return text === '' ? NaN : Number(text.replace(',', '.'));
}

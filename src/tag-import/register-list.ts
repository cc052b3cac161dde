import { configJsonSchema, schemaAt } from '../config/config-json-schema.ts';
import { type CsvFormat, type CsvLine, parseCsvTable } from '../csv/csv-table.ts';
import { simplified } from '../domain/nearest-word.ts';
import { registersOf, valueTypes } from '../sources/modbus/frame/register-decode.ts';
import { ImportDraft, type ImportSettings, type Report, type TagImport, type TagKeys } from './imported-tags.ts';
import type { RegisterKind } from '../sources/modbus/frame/read-pdu.ts';
import { type ListAddress, listAddress, listByteOrder, listFactor, listKind, listType } from './list-cells.ts';
import { type ListColumn, type RegisterList, registerList } from './list-columns.ts';
import { tableOf } from './number-notation.ts';
import { factorScaling } from './scaling.ts';

/** Reads a register list as CSV: a tag file of andon, or a list with any header. */
export function readRegisterList(text: string, settings: ImportSettings): TagImport {
  const own = tagFile(text);
  if (own !== undefined && settings.columns === undefined) return own;
  const draft = new ImportDraft();
  const list = registerList(text, settings.columns ?? new Map());
  if (list === undefined) {
    const found = (text.split('\n')[0] ?? '').trim().slice(0, 60);
    const remedy = 'name them: --columns name=HEADER,address=HEADER,type=HEADER';
    draft.addFinding({ line: 1, found, reason: 'no line has the headers of a name and of an address', remedy });
    return draft.result();
  }
  new ListReader(draft, settings, list).read();
  return draft.result();
}

/** Keys of the tags of each kind of source. */
function keysOfKinds(): ReadonlyMap<string, ReadonlySet<string>> {
  const schema = configJsonSchema();
  return new Map(
    ['modbus', 'mqtt', 'sparkplug', 'opcua'].map((type) => {
      const document = { sources: { source: { type } } };
      const node = schemaAt(schema, ['sources', 'source', 'tags', 'name'], document);
      return [type, new Set(['name', ...Object.keys(node?.properties ?? {})].map(simplified))] as const;
    }),
  );
}

/** Returns the tags of a tag file of andon, such as `andon tags export` writes; undefined for any other file. */
function tagFile(text: string): TagImport | undefined {
  const { header, rows, format, broken } = parseCsvTable(text);
  const headers = (header?.cells ?? []).map(simplified);
  const kinds = [...keysOfKinds()].filter(([, keys]) => headers.every((each) => keys.has(each)));
  const kind = kinds.find(([type]) => type !== 'modbus' || isModbusFile(headers, rows))?.[0];
  if (!headers.includes('name') || kind === undefined || broken.length > 0) return undefined;
  const tags = new Map<string, Record<string, unknown>>();
  const named = rows.filter(({ cells }) => !cells[0]?.startsWith('#'));
  const keys = header?.cells ?? [];
  for (const { cells } of named) {
    const filled = keys.map((key, index) => [key, pointed(cells[index] ?? '', format)] as const);
    const { name = '', ...rest } = Object.fromEntries(filled.filter(([, cell]) => cell !== ''));
    tags.set(name, rest);
  }
  const source = { id: 'device', keys: kind === 'modbus' ? {} : { type: kind }, tags };
  return { sources: [source], findings: [], notes: [], open: [] };
}

function isModbusFile(headers: readonly string[], rows: readonly CsvLine[]): boolean {
  const types: ReadonlySet<string> = new Set([...valueTypes, 'string', 'bytes']);
  const [type, address] = [headers.indexOf('type'), headers.indexOf('address')];
  const tags = rows.filter(({ cells }) => !cells[0]?.startsWith('#'));
  return type >= 0 && tags.every(({ cells }) => types.has(cells[type] ?? '') && /^\d+$/.test(cells[address] ?? ''));
}

/** Returns a cell with decimal points. */
function pointed(cell: string, { decimal }: CsvFormat): string {
  return decimal === ',' && /^[-+\d,.e\s]+$/i.test(cell) ? cell.replaceAll(',', '.') : cell;
}

type Row = {
  readonly name: string;
  readonly line: number;
  readonly register: RegisterKind | undefined;
  readonly address: ListAddress;
  readonly keys: Omit<TagKeys, 'register' | 'address'>;
  readonly unitId: number | undefined;
};

class ListReader {
  readonly #draft: ImportDraft;
  readonly #settings: ImportSettings;
  readonly #list: RegisterList;

  constructor(draft: ImportDraft, settings: ImportSettings, list: RegisterList) {
    this.#draft = draft;
    this.#settings = settings;
    this.#list = list;
  }

  read(): void {
    const { table, unused } = this.#list;
    this.#draft.addBroken(table);
    const rows = table.rows
      .filter(({ cells }) => !cells[0]?.startsWith('#'))
      .map((line) => this.#row(line))
      .filter((row) => row !== undefined);
    if (unused.length > 0) this.#draft.addNote(`columns that are not used: ${unused.join(', ')}`);
    this.#settle(rows);
  }

  #row(line: CsvLine): Row | undefined {
    const cell = (column: ListColumn) => this.#cell(line, column);
    const name = cell('name');
    const report = (found: string, reason: string, remedy: string) =>
      this.#draft.addFinding({ line: line.line, name, found: found || line.text.slice(0, 60), reason, remedy });
    const address = listAddress(cell('address'));
    const register = cell('register') === '' ? address?.register : listKind(cell('register'));
    if (name === '') report('', 'the row has no name', 'give it a name, or remove it');
    else if (/^(w|wo|write|writeonly|schreiben)$/.test(simplified(cell('access'))))
      report(cell('access'), 'the register is written only', 'andon only reads; leave it out');
    else if (address === undefined)
      report(
        cell('address'),
        'this is not an address',
        'expected 40001, 4x0001, 100, 0x64, HR100, 40001.3 or 40001-40002',
      );
    else if (cell('register') !== '' && register === undefined)
      report(
        cell('register'),
        'the register kind is unknown',
        'expected holding, input, coil, discrete or a function code 1 to 4',
      );
    else {
      const keys = this.#keys(cell, address, register, report);
      const unitId = cell('unitId') === '' ? undefined : Number(cell('unitId'));
      if (keys !== undefined) return { name, line: line.line, register, address, keys, unitId };
    }
    return undefined;
  }

  #keys(
    cell: (column: ListColumn) => string,
    address: ListAddress,
    register: RegisterKind | undefined,
    report: Report,
  ): Row['keys'] | undefined {
    const counted = Number(cell('count')) || address.registers;
    const isBits = register === 'coil' || register === 'discrete' || isBitNumber(address);
    const bit = cell('bit') === '' ? address.bit : Number(cell('bit'));
    const fallback = isBits || bit !== undefined ? 'bool' : '';
    const read = listType(cell('type') || fallback, counted);
    const factor = cell('divisor') === '' ? factorOf(cell('scale')) : inverse(listFactor(cell('divisor')));
    const order = cell('byteOrder') === '' ? read?.byteOrder : listByteOrder(cell('byteOrder'));
    const offset = Number(cell('offset').replace(',', '.'));
    if (read === undefined)
      report(
        cell('type') || 'no type',
        'the data type is unknown',
        'expected a type such as UINT16, INT32, FLOAT, BOOL or STRING[20]',
      );
    else if (read.type === 'string' && read.length === undefined)
      report(cell('type'), 'a text needs a length', 'write STRING[20], or add the number of registers');
    else if (factor === undefined)
      report(cell('divisor') || cell('scale'), 'this is not a factor', 'expected 0.1, 1/10 or x10');
    else if (Number.isNaN(offset)) report(cell('offset'), 'this is not a number', 'correct the offset');
    else if (cell('byteOrder') !== '' && order === undefined)
      report(
        cell('byteOrder'),
        'the byte order is not certain',
        'expected ABCD, CDAB, BADC, DCBA, big endian or word swap',
      );
    else {
      const isPlain = read.type === 'string' || read.type === 'bool';
      const isWide = !isPlain && registersOf(read.type) > 1;
      return {
        type: read.type,
        length: read.length,
        bit: isBits ? undefined : bit,
        byteOrder: isWide ? (order ?? this.#settings.byteOrder) : undefined,
        ...(isPlain ? {} : factorScaling(factor, offset)),
        unit: cell('unit') || undefined,
        range: rangeOf(cell('low'), cell('high')),
        deadband: Number(cell('deadband').replace(',', '.')) || undefined,
        scanInterval: intervalOf(cell('scanInterval')),
      };
    }
    return undefined;
  }

  #settle(rows: readonly Row[]): void {
    const settled = notationOf(rows, this.#list, this.#settings);
    if ('reason' in settled) this.#draft.leaveOpen('addressBase', settled.reason);
    for (const row of rows) {
      const place = 'reason' in settled ? placeOf(row, 1) : placeOf(row, settled.base);
      const { name, line, keys } = row;
      if (place === undefined) {
        const found = row.address.digits ?? String(row.address.number);
        const remedy =
          'add a column with holding, input, coil or discrete, or name one for all: --columns register=holding';
        this.#draft.addFinding({ line, name, found, reason: 'the kind of register is not known', remedy });
        continue;
      }
      const source = row.unitId === undefined ? 'device' : `unit-${row.unitId}`;
      this.#draft.addSource(source, { unitId: row.unitId });
      this.#draft.addTag(source, name, { ...keys, ...place }, line);
    }
  }

  #cell({ cells }: CsvLine, column: ListColumn): string {
    return this.#list.constants.get(column) ?? cells[this.#list.columns.get(column) ?? -1] ?? '';
  }
}

/** Number of the first register: 0 or 1, or the first number of its kind in the notation of manuals. */
type Base = 0 | 1 | 40_001;

/** Decides how the addresses count, or states why that is open. */
function notationOf(
  rows: readonly Row[],
  { header, columns }: RegisterList,
  { addressBase, manualNumbers }: ImportSettings,
): { readonly base: Base } | { readonly reason: string } {
  if (manualNumbers === true) return { base: 40_001 };
  if (addressBase !== undefined) return { base: addressBase };
  const plain = rows.filter(({ address }) => address.digits !== undefined);
  const asManual = plain.map(({ address }) => manualNumber(address));
  const isManual = plain.length > 0 && asManual.every((each) => each !== undefined && each.number > 0);
  const hasKinds = plain.some(({ register }) => register !== undefined);
  if (isManual && !hasKinds) {
    const digits = new Set(plain.map(({ address }) => address.digits?.length));
    if (digits.size === 1) return { base: 40_001 };
    return {
      reason:
        'the addresses have five and six digits: a leading zero of a coil may be lost. 40001: the first digit of each number is its table',
    };
  }
  const fits =
    isManual && plain.every(({ register }, index) => register === undefined || asManual[index]?.register === register);
  if (fits)
    return {
      reason:
        'the addresses may be numbers of a manual or addresses of the protocol. 40001: 40001 is the first holding register. 0: 40001 is the address on the wire. 1: it counts from 1',
    };
  const title = header.cells[columns.get('address') ?? -1] ?? '';
  if (/\b(0|zero|null)[\s-]*(based|basiert)|\bab 0\b/i.test(title)) return { base: 0 };
  if (/\b(1|one|eins)[\s-]*(based|basiert)|\bab 1\b/i.test(title)) return { base: 1 };
  if (rows.some(({ address }) => address.number === 0)) return { base: 0 };
  return rows.length === 0
    ? { base: 0 }
    : {
        reason:
          'the list does not state whether the first register has the number 0 or 1; its manual does, often in its Modbus chapter',
      };
}

function manualNumber({ digits = '' }: ListAddress) {
  const [, table = '', number] = /^([0134])(\d{4,5})$/.exec(digits) ?? [];
  const register = tableOf(table);
  return register === undefined ? undefined : { register, number: Number(number) };
}

/** Returns true if the number of a manual means a coil or a discrete input. */
function isBitNumber(address: ListAddress): boolean {
  const register = manualNumber(address)?.register;
  return address.register === undefined && (register === 'coil' || register === 'discrete');
}

/** Returns the location on the wire; undefined if the kind of register is not known. */
function placeOf({ register, address }: Row, base: Base) {
  const manual = base === 40_001 ? manualNumber(address) : undefined;
  if (manual !== undefined) return { register: manual.register, address: manual.number - 1 };
  const first = base === 40_001 ? 1 : base;
  return register === undefined ? undefined : { register, address: address.number - first };
}

function factorOf(text: string): number | undefined {
  return text === '' ? 1 : listFactor(text);
}

function inverse(value: number | undefined): number | undefined {
  return value === undefined ? undefined : 1 / value;
}

function rangeOf(low: string, high: string): readonly [number, number] | undefined {
  const ends = [low, high].map((text) => (text === '' ? NaN : Number(text.replace(',', '.'))));
  const [from = NaN, to = NaN] = ends;
  return from < to ? [from, to] : undefined;
}

/** Reads 500, in milliseconds, 500ms or 1s. */
function intervalOf(text: string): string | undefined {
  if (/^\d+$/.test(text)) return `${text}ms`;
  return /^\d+(\.\d+)?(ms|s|m)$/.test(text) ? text : undefined;
}

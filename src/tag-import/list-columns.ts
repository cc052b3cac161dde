import { type CsvLine, type CsvTable, parseCsvTable } from '../csv/csv-table.ts';
import { simplified } from '../domain/nearest-word.ts';

/** Meanings of columns in a register list, and the headers that have them, in English and German. */
const headerWords = {
  name: 'name tag tagname tagid variable variablenname signal signalname bezeichnung datenpunkt point pointname label item parameter',
  address:
    'address addr adresse register reg registeraddress registeradresse registernumber registernummer registerno modbusaddress modbusadresse modbusregister startaddress startadresse startregister registerdec adressedec addressdec',
  register:
    'registertype registertyp registerkind register table tabelle area speicherbereich objecttype objekttyp function funktion functioncode funktionscode functioncoderead fc modbusfunction',
  type: 'type typ datatype datentyp dataformat datenformat format',
  count:
    'registers registercount numberofregisters registeranzahl anzahlregister words anzahlworte quantity size groesse größe count anzahl length länge laenge',
  bit: 'bit bitnumber bitnummer bitno bitposition',
  byteOrder: 'byteorder wordorder bytereihenfolge wortreihenfolge endian endianness endianess',
  scale:
    'scale scaling faktor factor skalierung scalefactor skalierungsfaktor multiplier multiplikator gain resolution auflösung aufloesung',
  divisor: 'divisor divider teiler',
  offset: 'offset versatz',
  unit: 'unit units einheit engunit engineeringunit engunits dimension',
  low: 'min minimum low rangelow minwert untergrenze',
  high: 'max maximum high rangehigh maxwert obergrenze',
  deadband: 'deadband totband',
  scanInterval: 'interval scaninterval scanrate pollrate abtastrate zykluszeit',
  access: 'access accesstype rw zugriff readwrite lesenschreiben',
  unitId: 'unitid slave slaveid slaveaddress deviceid geräteadresse geraeteadresse busadresse',
} as const;

export type ListColumn = keyof typeof headerWords;

export const listColumns = Object.keys(headerWords) as readonly ListColumn[];

const columnsOfWord = new Map<string, ListColumn[]>();
for (const column of listColumns)
  for (const word of headerWords[column].split(' '))
    columnsOfWord.set(word, [...(columnsOfWord.get(word) ?? []), column]);

export type RegisterList = {
  readonly table: CsvTable;
  readonly header: CsvLine;
  /** Cell of each meaning. */
  readonly columns: ReadonlyMap<ListColumn, number>;
  /** Values for all rows, by meaning. */
  readonly constants: ReadonlyMap<ListColumn, string>;
  /** Headers without a meaning here. */
  readonly unused: readonly string[];
};

/** Lines in which the header is searched. */
const HEADER_LINES = 40;

/**
 * Finds the header and the meaning of its columns.
 *
 * @param named Headers of the user by meaning. A text that is no header is the value of all rows.
 */
export function registerList(text: string, named: ReadonlyMap<string, string>): RegisterList | undefined {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  const tables = lines.slice(0, HEADER_LINES).flatMap((line, index) => {
    if (line.trim() === '') return [];
    const table = parseCsvTable([...lines.slice(0, index).map(() => ''), ...lines.slice(index)].join('\n'));
    return table.header?.line === index + 1 ? [described(table, table.header, named)] : [];
  });
  const [best] = tables.toSorted((a, b) => b.columns.size - a.columns.size);
  return best !== undefined && best.columns.has('name') && best.columns.has('address') ? best : undefined;
}

function described(table: CsvTable, header: CsvLine, named: ReadonlyMap<string, string>): RegisterList {
  const columns = new Map<ListColumn, number>();
  const constants = new Map<ListColumn, string>();
  for (const column of listColumns) {
    const wanted = named.get(column);
    if (wanted === undefined) continue;
    const index = header.cells.findIndex((cell) => simplified(cell) === simplified(wanted));
    if (index >= 0) columns.set(column, index);
    else constants.set(column, wanted);
  }
  const taken = new Set(columns.values());
  for (const [index, cell] of header.cells.entries()) {
    const meanings = meaningsOf(cell).filter((column) => !columns.has(column) && !constants.has(column));
    const [first, second] = meanings;
    if (taken.has(index) || first === undefined) continue;
    // `Register` is a number or a kind, which its cells show.
    const isAmbiguous = second !== undefined && first === 'address';
    columns.set(isAmbiguous && !hasNumbers(table, index) ? second : first, index);
    taken.add(index);
  }
  const unused = header.cells.filter((cell, index) => cell !== '' && !taken.has(index));
  return { table, header, columns, constants, unused };
}

function meaningsOf(header: string): readonly ListColumn[] {
  // A header may have its unit or base in brackets: Address (hex), Scale [%].
  const plain = simplified(header.replaceAll(/[([{].*?[)\]}]/g, '').replaceAll(/[./:]/g, ''));
  return columnsOfWord.get(plain) ?? [];
}

function hasNumbers({ rows }: CsvTable, index: number): boolean {
  const filled = rows.map(({ cells }) => cells[index] ?? '').filter((cell) => cell !== '');
  return filled.filter((cell) => /\d/.test(cell)).length * 2 > filled.length;
}

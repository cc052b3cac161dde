import { simplified } from '../domain/nearest-word.ts';
import type { ByteOrder, ValueType } from '../sources/modbus/frame/register-decode.ts';
import type { RegisterKind } from '../sources/modbus/frame/read-pdu.ts';
import { tableOf } from './number-notation.ts';

/** An address of a register list. */
export type ListAddress = {
  /** Kind that the notation states: 4x0001, HR1. */
  readonly register: RegisterKind | undefined;
  readonly number: number;
  /** The digits of a plain decimal number. */
  readonly digits: string | undefined;
  readonly bit: number | undefined;
  /** Number of registers of 40001-40002. */
  readonly registers: number | undefined;
};

const letters: Readonly<Record<string, RegisterKind>> = {
  hr: 'holding',
  h: 'holding',
  ir: 'input',
  i: 'input',
  di: 'discrete',
  c: 'coil',
  co: 'coil',
};

/** Reads 40001, 4x0001, 0x1F, 1Fh, HR100, 40001.3, 40001-40002. */
export function listAddress(text: string): ListAddress | undefined {
  const plain = text.trim();
  const [, first = '', last] = /^(.+?)\s*(?:-|–|\.\.+|\/)\s*(\w+)$/.exec(plain) ?? [];
  const start = last === undefined ? undefined : listAddress(first);
  const end = last === undefined ? undefined : listAddress(last);
  if (start !== undefined && end !== undefined && end.number >= start.number)
    return { ...start, registers: end.number - start.number + 1 };
  const [, body = plain, bit] = /^(.+?)\.(\d{1,2})$/.exec(plain) ?? [];
  const common = { bit: bit === undefined ? undefined : Number(bit), registers: undefined };
  const [, table = '', inTable] = /^([0134])[x:]\s*(\d{1,5})$/i.exec(body) ?? [];
  const [, hex, hexBefore] = /^(?:0x([0-9a-f]{1,4})|([0-9a-f]{1,4})h)$/i.exec(body) ?? [];
  const [, letter = '', behind] = /^(HR|IR|DI|CO?|H|I)\s*:?\s*(\d{1,5})$/i.exec(body) ?? [];
  // 0x0001 is hexadecimal, and 0x00001 coil 1: only a hexadecimal number has up to four digits.
  if (hex !== undefined || hexBefore !== undefined)
    return { ...common, register: undefined, number: Number.parseInt(hex ?? hexBefore ?? '', 16), digits: undefined };
  if (inTable !== undefined) return { ...common, register: tableOf(table), number: Number(inTable), digits: undefined };
  if (behind !== undefined)
    return { ...common, register: letters[letter.toLowerCase()], number: Number(behind), digits: undefined };
  return /^\d{1,6}$/.test(body) ? { ...common, register: undefined, number: Number(body), digits: body } : undefined;
}

const kinds: readonly (readonly [RegExp, RegisterKind])[] = [
  [/^(holding|holdingregisters?|halteregister|hr|4x+|(fc)?0?3|0x03|readholdingregisters?)$/, 'holding'],
  [/^(input|inputregisters?|eingangsregister|ir|3x+|(fc)?0?4|0x04|readinputregisters?)$/, 'input'],
  [/^(coils?|outputcoils?|spule|digitalout(put)?|do|0x+|(fc)?0?1|0x01|readcoils?)$/, 'coil'],
  [/^(discrete|discreteinputs?|diskretereingang|digitalin(put)?|digitalereingang|di|1x+|(fc)?0?2|0x02)$/, 'discrete'],
];

/** Reads a register kind or a function code: Holding Register, 3, FC04, 4x. */
export function listKind(text: string): RegisterKind | undefined {
  const word = simplified(text);
  return kinds.find(([pattern]) => pattern.test(word))?.[1];
}

export type ListType = {
  readonly type: ValueType | 'string';
  readonly byteOrder: ByteOrder | undefined;
  /** Length of a text in bytes. */
  readonly length: number | undefined;
};

const typeWords: Readonly<Record<string, string>> = {
  bool: 'bool boolean bit digital binary binär binaer',
  int8: 'int8 sint8 i8 s8 sint char8',
  uint8: 'uint8 u8 byte usint',
  int16: 'int16 i16 s16 sint16 short signed16 signedint16 signed16bit 16bitsigned signedword int16signed',
  uint16: 'uint16 u16 word ushort unsigned16 unsignedint16 unsigned16bit 16bitunsigned unsignedword',
  int32: 'int32 i32 s32 sint32 dint long signed32 signedint32 signed32bit 32bitsigned signedlong',
  uint32: 'uint32 u32 udint dword ulong unsigned32 unsignedint32 unsigned32bit 32bitunsigned unsignedlong',
  int64: 'int64 i64 s64 sint64 lint signed64 longlong',
  uint64: 'uint64 u64 ulint lword qword unsigned64',
  float16: 'float16 f16 half',
  float32: 'float32 f32 real single ieee754 ieee float32bit 32bitfloat gleitkomma',
  float64: 'float64 f64 double lreal 64bitfloat',
  bcd16: 'bcd16 bcd',
  bcd32: 'bcd32 lbcd',
  string: 'string str ascii text char zeichenkette utf8',
};
const typeOfWord = new Map(
  Object.entries(typeWords).flatMap(([type, words]) => words.split(' ').map((word) => [word, type] as const)),
);

/** Types whose size is the number of registers. Without it, an INT is 16 bits (IEC 61131-3) and a FLOAT 32 bits. */
const sized: Readonly<Record<string, Readonly<Record<number, ValueType>>>> = {
  int: { 1: 'int16', 2: 'int32', 4: 'int64' },
  integer: { 1: 'int16', 2: 'int32', 4: 'int64' },
  signed: { 1: 'int16', 2: 'int32', 4: 'int64' },
  uint: { 1: 'uint16', 2: 'uint32', 4: 'uint64' },
  unsigned: { 1: 'uint16', 2: 'uint32', 4: 'uint64' },
  float: { 1: 'float16', 2: 'float32', 4: 'float64' },
};

/** Reads UINT16, Real, float32 CDAB, STRING[20], int with its number of registers. */
export function listType(text: string, registers: number | undefined): ListType | undefined {
  const order = /\b(ABCD|CDAB|BADC|DCBA)\b/i.exec(text)?.[1]?.toUpperCase() as ByteOrder | undefined;
  const [, length] = /^[a-z]+\s*[[(]?\s*(\d+)\s*[\])]?$/i.exec(text.trim()) ?? [];
  const word = simplified(text.replace(/\b(ABCD|CDAB|BADC|DCBA)\b/i, '')).replaceAll(/[[\](){}.,_]/g, '');
  const isText = /^(string|str|ascii|text|char|zeichenkette)\d*$/.test(word);
  if (isText) {
    const bytes = length === undefined ? (registers === undefined ? undefined : registers * 2) : Number(length);
    return { type: 'string', byteOrder: undefined, length: bytes };
  }
  const bySize = sized[word]?.[registers ?? (word === 'float' ? 2 : 1)];
  const type = bySize ?? (typeOfWord.get(word) as ValueType | undefined);
  return type === undefined ? undefined : { type, byteOrder: order, length: undefined };
}

/** Reads ABCD, big endian, word swap. @returns Undefined for others; little endian alone has two meanings. */
export function listByteOrder(text: string): ByteOrder | undefined {
  const word = simplified(text);
  const named = /^(abcd|cdab|badc|dcba)$/.exec(word)?.[1]?.toUpperCase() as ByteOrder | undefined;
  if (named !== undefined) return named;
  if (/^(be|bigendian|big|msbfirst|mswfirst|motorola|highwordfirst)$/.test(word)) return 'ABCD';
  return /^(wordswap(ped)?|lowwordfirst|lswfirst)$/.test(word) ? 'CDAB' : undefined;
}

/** Reads 0.1, 0,1, 1/10, /10, x10, *0.1. */
export function listFactor(text: string): number | undefined {
  const plain = text.trim().replace(',', '.');
  const [, above = '1', below] = /^([\d.]+)?\s*[/÷]\s*([\d.]+)$/.exec(plain) ?? [];
  const value = below === undefined ? Number(plain.replace(/^[x*×]\s*/i, '')) : Number(above) / Number(below);
  return plain !== '' && Number.isFinite(value) && value !== 0 ? value : undefined;
}

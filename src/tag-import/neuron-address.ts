import { type ByteOrder, registersOf, type ValueType } from '../sources/modbus/frame/register-decode.ts';
import type { RegisterKind } from '../sources/modbus/frame/read-pdu.ts';
import { tableOf } from './number-notation.ts';

/** A tag address of Neuron's Modbus drivers: `1!400001`, `1!400001.3`, `1!400001#BB`, `1!400001.20H`. */
export type NeuronAddress = {
  readonly unitId: number;
  readonly register: RegisterKind;
  /** Number of the register in its table: 1 for 400001. */
  readonly number: number;
  /** Bit of a register, or length of a text or of bytes. */
  readonly part: number | undefined;
  /** Layout of a text: H, L, D or E. */
  readonly layout: string | undefined;
  /** Letters behind #. */
  readonly order: string | undefined;
};

export function neuronAddress(text: string): NeuronAddress | undefined {
  const match = /^(\d{1,3})!([0134])(\d{1,5})(?:#([BL]{1,2}))?(?:\.(\d{1,3})([HLDE])?)?(?:#([BL]{1,2}))?$/.exec(
    text.trim(),
  );
  const register = tableOf(match?.[2] ?? '');
  if (match === null || register === undefined) return undefined;
  const [, unit, , number, early, part, layout, late] = match;
  return {
    unitId: Number(unit),
    register,
    number: Number(number),
    part: part === undefined ? undefined : Number(part),
    layout,
    order: early ?? late,
  };
}

/** Types of Neuron by number, as in its JSON, and by name, as in its spreadsheets. */
const typeNumbers: Readonly<Record<number, string>> = {
  3: 'INT16',
  4: 'UINT16',
  5: 'INT32',
  6: 'UINT32',
  7: 'INT64',
  8: 'UINT64',
  9: 'FLOAT',
  10: 'DOUBLE',
  11: 'BIT',
  12: 'BOOL',
  13: 'STRING',
  14: 'BYTES',
  16: 'WORD',
  17: 'DWORD',
  18: 'LWORD',
};

const types: Readonly<Record<string, ValueType | 'string' | 'bytes'>> = {
  INT16: 'int16',
  UINT16: 'uint16',
  WORD: 'uint16',
  INT32: 'int32',
  UINT32: 'uint32',
  DWORD: 'uint32',
  INT64: 'int64',
  UINT64: 'uint64',
  LWORD: 'uint64',
  FLOAT: 'float32',
  DOUBLE: 'float64',
  BIT: 'bool',
  BOOL: 'bool',
  STRING: 'string',
  BYTES: 'bytes',
};

/** @param type Number or name. */
export function neuronType(type: unknown): ValueType | 'string' | 'bytes' | undefined {
  const name = typeof type === 'number' || /^\d+$/.test(String(type)) ? typeNumbers[Number(type)] : String(type);
  return types[(name ?? '').trim().toUpperCase()];
}

/** Orders behind # by the size of the value, and of the setting endianess of a device. */
const orders: Readonly<Record<number, Readonly<Record<string, ByteOrder>>>> = {
  1: { L: 'ABCD', B: 'BADC' },
  2: { LL: 'ABCD', LB: 'BADC', BL: 'CDAB', BB: 'DCBA' },
  4: { L: 'ABCD', B: 'DCBA' },
};
const settings: Readonly<Record<number, ByteOrder>> = { 1: 'ABCD', 2: 'BADC', 3: 'DCBA', 4: 'CDAB' };

/** Returns the byte order of the letters behind #; undefined if the type has no such letters. */
export function neuronOrder(letters: string, type: ValueType): ByteOrder | undefined {
  return orders[registersOf(type)]?.[letters];
}

/** Returns the byte order of the settings `endianess` and `endianess_64`. */
export function neuronDeviceOrder(setting: unknown): ByteOrder | undefined {
  return settings[Number(setting)];
}

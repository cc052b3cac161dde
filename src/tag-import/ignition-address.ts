import type { TagKeys } from './imported-tags.ts';
import type { RegisterKind } from '../sources/modbus/frame/read-pdu.ts';

/** An OPC item path of Ignition's Modbus driver: `ns=1;s=[Device]3.HRF100`. */
export type IgnitionAddress = {
  readonly device: string;
  readonly unitId: number | undefined;
  readonly register: RegisterKind;
  /** Number of the register in its table, as in the path. */
  readonly number: number;
  readonly type: TagKeys['type'];
  readonly bit: number | undefined;
  /** Length of a text in bytes. */
  readonly length: number | undefined;
};

const tables: Readonly<Record<string, RegisterKind>> = { HR: 'holding', IR: 'input', C: 'coil', DI: 'discrete' };

/** Types behind HR and IR. */
const types: Readonly<Record<string, TagKeys['type']>> = {
  '': 'int16',
  US: 'uint16',
  I: 'int32',
  UI: 'uint32',
  I_64: 'int64',
  UI_64: 'uint64',
  F: 'float32',
  D: 'float64',
  BCD: 'bcd16',
  BCD_32: 'bcd32',
  S: 'string',
};

const PATH =
  /^(?:nsu?=[^;]*;)?(?:s=)?\[([^\]]+)\]\/?(?:(\d{1,3})\.)?(HR|IR|DI|C)(UI_64|I_64|BCD_32|BCD|UI|US|I|F|D|S)?(\d{1,6})(?::(\d{1,3}))?(?:\.(\d{1,2}))?$/i;

export function ignitionAddress(path: string): IgnitionAddress | undefined {
  const match = PATH.exec(path.trim());
  if (match === null) return undefined;
  const [, device = '', unit, table = '', suffix = '', number, length, bit] = match;
  const register = tables[table.toUpperCase()];
  const isBits = register === 'coil' || register === 'discrete';
  const type = types[suffix.toUpperCase()];
  if (register === undefined || type === undefined || (isBits && suffix !== '')) return undefined;
  // Only a text has a length, and only a word has bits.
  if ((type === 'string') !== (length !== undefined)) return undefined;
  if (bit !== undefined && (isBits || (type !== 'int16' && type !== 'uint16'))) return undefined;
  return {
    device,
    unitId: unit === undefined ? undefined : Number(unit),
    register,
    number: Number(number),
    type: isBits || bit !== undefined ? 'bool' : type,
    bit: bit === undefined ? undefined : Number(bit),
    length: length === undefined ? undefined : Number(length),
  };
}

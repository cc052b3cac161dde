import { type ByteOrder, registersOf, type ValueType } from '../sources/modbus/frame/register-decode.ts';
import type { TagKeys } from './imported-tags.ts';
import type { RegisterKind } from '../sources/modbus/frame/read-pdu.ts';
import { factorScaling } from './scaling.ts';

/** One field of a request, a metric or a register list. */
export type TelegrafField = {
  readonly style: 'register' | 'request' | 'metric';
  readonly register: RegisterKind;
  readonly name: string;
  readonly measurement: string;
  readonly unitId: number;
  readonly line: number;
  readonly type: string | undefined;
  /** Address on the wire. */
  readonly address: number;
  /** All registers of the field, for the register style. */
  readonly registers: readonly number[] | undefined;
  /** Number of registers, for text and for the register style. */
  readonly length: number | undefined;
  readonly byteOrder: string | undefined;
  readonly scale: number | undefined;
  readonly bit: number | undefined;
  readonly output: string | undefined;
  /** Keys without a meaning here. */
  readonly unknown: readonly string[];
};

type Converted =
  | { readonly keys: TagKeys; readonly note: string | undefined }
  | { readonly found: string; readonly reason: string; readonly remedy: string };

const types: Readonly<Record<string, readonly [ValueType, ('low' | 'high')?]>> = {
  INT8L: ['int8'],
  INT8H: ['int8', 'high'],
  UINT8L: ['uint8'],
  UINT8H: ['uint8', 'high'],
  INT16: ['int16'],
  UINT16: ['uint16'],
  INT32: ['int32'],
  UINT32: ['uint32'],
  INT64: ['int64'],
  UINT64: ['uint64'],
  FLOAT16: ['float16'],
  FLOAT32: ['float32'],
  FLOAT64: ['float64'],
  BIT: ['bool'],
};

/** Fixed-point types by the number of registers. FLOAT32 of the register style is an old name of UFIXED. */
const fixed: Readonly<Record<string, Readonly<Record<number, ValueType>>>> = {
  FIXED: { 1: 'int16', 2: 'int32', 4: 'int64' },
  UFIXED: { 1: 'uint16', 2: 'uint32', 4: 'uint64' },
};

const orders: Readonly<Record<string, ByteOrder>> = {
  AB: 'ABCD',
  ABCDEFGH: 'ABCD',
  'MSW-BE': 'ABCD',
  MSW: 'ABCD',
  BA: 'DCBA',
  HGFEDCBA: 'DCBA',
  'LSW-LE': 'DCBA',
  LSW: 'DCBA',
  BADCFEHG: 'BADC',
  'MSW-LE': 'BADC',
  GHEFCDAB: 'CDAB',
  'LSW-BE': 'CDAB',
  ABCD: 'ABCD',
  BADC: 'BADC',
  CDAB: 'CDAB',
  DCBA: 'DCBA',
};

/** Converts a field. @param stringLocation The workaround `string_register_location`. */
export function telegrafTag(field: TelegrafField, stringLocation: string | undefined): Converted {
  const { register, name, address, unknown } = field;
  const refused = (found: string, reason: string, remedy: string) => ({ found, reason, remedy });
  if (name === '') return refused(`${register} ${address}`, 'the field has no name', 'give it a name, or omit = true');
  if (unknown.length > 0)
    return refused(unknown.join(', '), 'the field has keys that are unknown', 'remove them, or add the tag by hand');
  if (register === 'coil' || register === 'discrete')
    return { keys: { register, address, type: 'bool' }, note: undefined };
  const byteOrder = orders[field.byteOrder ?? 'ABCD'];
  if (byteOrder === undefined)
    return refused(field.byteOrder ?? '', 'the byte order is unknown', 'expected ABCD, CDAB, BADC or DCBA');
  const order = byteOrder === 'ABCD' ? undefined : byteOrder;
  const { registers } = field;
  if (registers?.some((each, index) => each !== address + index) === true)
    return refused(
      `address = [${registers.join(', ')}]`,
      'the addresses do not follow each other',
      'use a derived tag',
    );
  const { scale, offset } = factorScaling(field.scale === undefined || field.scale === 0 ? 1 : field.scale);
  const common = { register, address, byteOrder: order, scale, offset };
  if (field.type === 'STRING') return textTag(field, { register, address, byteOrder: order }, stringLocation);
  const type = typeOf(field);
  if (type === undefined)
    return refused(field.type ?? 'no type', 'the data type is unknown', `expected ${Object.keys(types).join(', ')}`);
  const [valueType, byte] = type;
  if (registers !== undefined && registers.length !== registersOf(valueType))
    return refused(
      `${field.type} in ${registers.length} registers`,
      'the type does not fill the registers',
      'correct one of both',
    );
  const bit = valueType === 'bool' ? (field.bit ?? 0) : undefined;
  return { keys: { ...common, type: valueType, byte, bit }, note: cutNote(field) };
}

function typeOf(field: TelegrafField): readonly [ValueType, ('low' | 'high')?] | undefined {
  const { type = '', style, length = 0 } = field;
  if (style !== 'register') return types[type];
  const fixedType = fixed[type === 'FLOAT32' ? 'UFIXED' : type]?.[length];
  return fixedType === undefined ? types[type.replace(/-IEEE$/, '')] : [fixedType];
}

function textTag(
  { length, type = '' }: TelegrafField,
  keys: Pick<TagKeys, 'register' | 'address' | 'byteOrder'>,
  location: string | undefined,
): Converted {
  if (length === undefined || length < 1)
    return { found: type, reason: 'a text needs a length', remedy: 'set length, in registers' };
  const byte = location === 'lower' ? 'low' : location === 'upper' ? 'high' : undefined;
  return { keys: { ...keys, type: 'string', length: byte === undefined ? length * 2 : length, byte }, note: undefined };
}

/** Telegraf cuts decimals in fields with a whole-number output. */
function cutNote({ style, type = '', scale, output }: TelegrafField): string | undefined {
  const isWhole = style === 'register' ? /^U?INT/.test(type) : /^U?INT64$/.test(output ?? '');
  if (!isWhole || scale === undefined || Number.isInteger(scale)) return undefined;
  return 'Telegraf cuts the decimals of the scaled value, andon keeps them';
}

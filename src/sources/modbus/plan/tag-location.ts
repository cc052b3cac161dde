import type { ModbusTagConfig } from './modbus-tag-config.ts';
import { countMax, readFunctionCodes, type RegisterKind, registerBytes, type RegisterBits } from '../frame/read-pdu.ts';
import { registersOf } from '../frame/register-decode.ts';

type Place = { readonly register: RegisterKind; readonly address: number };

const ADDRESSES = 65_536;

/** Register kinds by the first digit of a number in manuals, which count from 1. Coils have no digit. */
const kindOfDigit: Readonly<Record<string, RegisterKind>> = { '1': 'discrete', '3': 'input', '4': 'holding' };

/**
 * Returns the location of a tag as on the wire. With `register`, `address` counts from `addressBase`; without it, the
 * address is the number of a manual, 40001 or 400001.
 *
 * @returns A message for an operator if there is no such location.
 */
export function locateTag(
  tag: Pick<ModbusTagConfig, 'register' | 'address'>,
  config: { readonly addressBase: number },
): Place | string {
  if (tag.register !== undefined) {
    const address = tag.address - config.addressBase;
    if (address < 0) return `addresses count from ${config.addressBase} here`;
    if (address < ADDRESSES) return { register: tag.register, address };
    const meant = locateTag({ register: undefined, address: tag.address }, config);
    const hint =
      typeof meant === 'string'
        ? ''
        : `; a manual's ${tag.address} is ${meant.register} address ${meant.address}, and needs no register`;
    return `${ADDRESSES - 1 + config.addressBase} is the last${hint}`;
  }
  const digits = String(tag.address);
  const register = kindOfDigit[digits.slice(0, 1)];
  const address = Number(digits.slice(1)) - 1;
  if (register === undefined || (digits.length !== 5 && digits.length !== 6) || address < 0 || address >= ADDRESSES)
    return 'without a register it is the number of a manual, such as 40001 or 400001 (holding), 30001 (input), 10001 (discrete)';
  return { register, address };
}

/** Returns the problems of a tag's location. */
export function locationProblems(
  tag: ModbusTagConfig,
  config: {
    readonly addressBase: number;
    readonly maxRegistersPerRequest: number;
    readonly registerBits: RegisterBits;
  },
): readonly { readonly path: string; readonly message: string }[] {
  const place = locateTag(tag, config);
  if (typeof place === 'string') return [{ path: 'address', message: place }];
  const isBit = place.register === 'coil' || place.register === 'discrete';
  if (isBit && tag.register === undefined && tag.type !== 'bool')
    return [{ path: 'type', message: `${tag.address} is a ${place.register}, which is a bool, not a ${tag.type}` }];
  const registerBits = tag.registerBits ?? config.registerBits;
  if (!isBit && registerBits === 32 && isNarrow(tag))
    return [
      {
        path: 'type',
        message: `a ${tag.type} does not fill a register of 32 bits; expected int32, uint32, float32 or wider`,
      },
    ];
  const width = widthOf(tag, place.register, registerBits);
  const what = `a ${tag.type} takes ${width} registers`;
  if (place.address + width * (tag.count ?? 1) > ADDRESSES) {
    const takes = tag.count === undefined ? what : `${tag.count} values take ${width * tag.count} addresses`;
    return [{ path: 'address', message: `${takes}, and ${ADDRESSES - 1 + config.addressBase} is the last` }];
  }
  const most = Math.min(
    config.maxRegistersPerRequest,
    countMax({ functionCode: readFunctionCodes[place.register], registerBits }),
  );
  if (isBit || width <= most) return [];
  const message = `${what}, which are never split over two reads; ${most === config.maxRegistersPerRequest ? 'maxRegistersPerRequest is' : 'a response has at most'} ${most}`;
  return [{ path: 'type', message }];
}

/** Returns the number of registers or bits of one value. */
export function widthOf(
  tag: Pick<ModbusTagConfig, 'type' | 'length' | 'byte'>,
  register: RegisterKind,
  registerBits: RegisterBits,
): number {
  if (register === 'coil' || register === 'discrete') return 1;
  const { type, length = 1 } = tag;
  const isText = type === 'string' || type === 'bytes';
  if (isText && tag.byte !== undefined) return length;
  const bytes = isText ? length : registersOf(type) * 2;
  return Math.ceil(bytes / registerBytes({ registerBits }));
}

/** Returns true if a value is smaller than a register of 32 bits. */
function isNarrow({ type, byte }: Pick<ModbusTagConfig, 'type' | 'byte'>): boolean {
  return type === 'string' || type === 'bytes' ? byte !== undefined : registersOf(type) === 1;
}

/** Returns the tag names of an entry: its own name, or for an array one name for each element, from `name[0]`. */
export function tagNames(name: string, { count }: Pick<ModbusTagConfig, 'count'>): readonly string[] {
  return count === undefined ? [name] : Array.from({ length: count }, (_, index) => `${name}[${index}]`);
}

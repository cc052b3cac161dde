import * as z from 'zod';
import { nearest } from '../../../domain/nearest-word.ts';
import { configObject, duration } from '../../../platform/config-fields.ts';
import { tagFields } from '../../tag-fields.ts';
import { DURATION_MS_MAX } from '../frame/modbus-limits.ts';
import { byteOrders, longByteOrders, registersOf, valueTypes } from '../frame/register-decode.ts';
import { codeSets, meaninglessCode } from '../frame/not-available.ts';
import { textEncodings } from '../frame/register-text.ts';

/** Last holding register in the notation of manuals. */
const ADDRESS_MAX = 465_536;
/** Most values of an array. */
const COUNT_MAX = 2000;
/** Longest string: as many bytes as fit in one response. */
const TEXT_BYTES_MAX = 250;

/** Size of a register, of a tag or of a source. */
export const registerBitsField = z
  .union([z.literal(16), z.literal(32)])
  .describe('Bits in each register. 32 for devices of Enron or Daniel, which return 4 bytes for each address');

const codeSet = z.enum(codeSets);

/** Codes for "not available", of a tag or of a source. */
export const invalidField = z
  .union([z.enum(['none', ...codeSets]), z.number(), z.array(z.union([codeSet, z.number()])).min(1)])
  .optional()
  .describe(
    'Raw values that mean "not available", such as 0x8000, or a named set: sunspec, sma, abb. The tag is then bad with reason not-available. Without it, a raw value that is usually such a code is uncertain with reason not-available?. none: every raw value is real',
  );

const tagTypes = [...valueTypes, 'string', 'bytes'] as const;

/** A value, or an array of values, in the registers or bits of a device. */
export const modbusTagSchema = configObject({
  register: z
    .enum(['holding', 'input', 'coil', 'discrete'])
    .optional()
    .describe('Address space. Leave it out if address is a number from a manual, such as 40001'),
  address: z
    .int()
    .min(0)
    .max(ADDRESS_MAX)
    .describe(
      'Address, counted from addressBase (by default 0, as on the wire). Without register: the number from a manual, such as 40001 or 400001 (holding), 30001 (input) or 10001 (discrete)',
    ),
  type: z
    .enum(tagTypes, {
      error: ({ input }) =>
        typeof input === 'string' && nearest(input, tagTypes) === undefined
          ? `expected one of ${tagTypes.join(', ')} (derived: calculates other formats from raw registers)`
          : '',
    })
    .describe(
      'Data type of the registers; bool for coils and discrete inputs. bytes: raw bytes, shown as hexadecimal text',
    ),
  count: z
    .int()
    .min(1)
    .max(COUNT_MAX)
    .optional()
    .describe('Number of consecutive values, for an array. Its tags are name[0], name[1] and so on'),
  length: z
    .int()
    .min(1)
    .max(TEXT_BYTES_MAX)
    .optional()
    .describe('Length of a string or of bytes, in bytes: two in each register, one with byte'),
  encoding: z.enum(textEncodings).optional().describe('Encoding of a string. Default: utf8, which includes ASCII'),
  trim: z
    .boolean()
    .optional()
    .describe('true: a string ends at its first NUL, and spaces at both ends are removed. Default: true'),
  byte: z
    .enum(['low', 'high'])
    .optional()
    .describe('Byte of the register that holds an int8 or uint8 (default: low), or each character of a string'),
  registerBits: registerBitsField.optional(),
  names: z
    .record(z.string().regex(/^-?\d+$/, { error: 'expected a whole number as key' }), z.string())
    .optional()
    .describe('Display name of each value of an enumeration; the value itself stays a number'),
  bit: z
    .int()
    .min(0)
    .max(15)
    .optional()
    .describe(
      'Bit number of a bool in a register; 0 is the least significant. Without it, any value other than 0 is true',
    ),
  byteOrder: z
    .enum([...byteOrders, ...longByteOrders])
    .optional()
    .describe("Overrides the source's byteOrder for this tag. 64-bit types also accept a full order, such as EFGHABCD"),
  invalid: invalidField,
  ...tagFields,
  scanInterval: duration("Overrides the source's scanInterval for this tag; 0s scans without a pause", {
    maxMs: DURATION_MS_MAX,
  }).optional(),
}).superRefine((tag, context) => {
  for (const { path, message } of tagProblems(tag)) context.addIssue({ code: 'custom', path: [path], message });
});

/** Parsed configuration of a Modbus tag. */
export type ModbusTagConfig = z.infer<typeof modbusTagSchema>;

type Problem = { readonly path: string; readonly message: string };

/** Returns the problems of a tag on its own. Its address depends on the source and is checked there. */
function tagProblems(tag: ModbusTagConfig): readonly Problem[] {
  const isBit = tag.register === 'coil' || tag.register === 'discrete';
  const isText = tag.type === 'string' || tag.type === 'bytes';
  const isByte = tag.type === 'int8' || tag.type === 'uint8';
  const isLong = tag.byteOrder !== undefined && tag.byteOrder.length > 4;
  const meaningless =
    tag.invalid === undefined
      ? undefined
      : meaninglessCode(tag.type === 'string' || tag.type === 'bytes' ? 'text' : tag.type, tag.invalid);
  const found: readonly (readonly [boolean, string, string])[] = [
    [isBit && tag.type !== 'bool', 'type', `expected bool for a ${tag.register}`],
    [
      tag.bit !== undefined && (isBit || tag.type !== 'bool'),
      'bit',
      'only a bool in a holding or input register has a bit',
    ],
    [tag.scale === 0, 'scale', 'must not be 0: every value would be the offset'],
    [
      isText && tag.length === undefined,
      'length',
      `${tag.type === 'bytes' ? 'bytes require' : 'a string requires'} a length, in bytes`,
    ],
    [
      !isText && tag.length !== undefined,
      'length',
      `only a string has a length; for an array of ${tag.type} use count`,
    ],
    [tag.type !== 'string' && tag.encoding !== undefined, 'encoding', 'only a string has an encoding'],
    [tag.type !== 'string' && tag.trim !== undefined, 'trim', 'only a string is trimmed'],
    [
      !isByte && !isText && tag.byte !== undefined,
      'byte',
      'only an int8, a uint8 or a character of a string is one byte of a register',
    ],
    [
      isLong && (tag.type === 'string' || tag.type === 'bytes' || registersOf(tag.type) !== 4),
      'byteOrder',
      `${tag.byteOrder} is a byte order for 64-bit types, not for ${tag.type}`,
    ],
    [meaningless !== undefined, 'invalid', `${meaningless} is not a raw value of a ${tag.type}`],
    [isText && tag.count !== undefined, 'count', 'a string cannot be an array'],
    [isText && tag.names !== undefined, 'names', 'a string cannot have names'],
    [isText && (tag.scale !== 1 || tag.offset !== 0), 'scale', 'a string cannot be scaled'],
  ];
  return found.flatMap(([isWrong, path, message]) => (isWrong ? [{ path, message }] : []));
}

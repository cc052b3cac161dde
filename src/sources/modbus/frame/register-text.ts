export const textEncodings = ['utf8', 'latin1', 'ascii'] as const;
type TextEncoding = (typeof textEncodings)[number] | 'hex';

/** Layout of text in registers. */
export type TextLayout = {
  /** Length in bytes. */
  readonly length: number;
  readonly encoding: TextEncoding;
  /** True if the low byte of each register is the first character. */
  readonly lowByteFirst: boolean;
  /** Half of each 16-bit register that holds one character; undefined if both do. */
  readonly half: 'low' | 'high' | undefined;
  /** True if the text ends at the first NUL and blanks at both ends are removed. */
  readonly trim: boolean;
};

/** @param offset Offset of the text's first register, in bytes. */
export function decodeText(bytes: Buffer, offset: number, layout: TextLayout): string {
  const { length, encoding, lowByteFirst, half, trim } = layout;
  const positionOf = (index: number): number => {
    if (half !== undefined) return index * 2 + (half === 'high' ? 0 : 1);
    return lowByteFirst ? index ^ 1 : index;
  };
  const inOrder = Buffer.alloc(length);
  for (let index = 0; index < length; index += 1) inOrder[index] = bytes[offset + positionOf(index)] ?? 0;
  const end = trim ? inOrder.indexOf(0) : -1;
  const text = inOrder.toString(encoding, 0, end === -1 ? length : end);
  return trim ? text.trim() : text;
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * Returns the number that stands for a text in a sample. The same text gives the same number at every start and on every box.
 *
 * @returns 0 for '', otherwise 1–4294967295; two texts share a code in about one of four billion pairs.
 * @see Fowler, Noll, Vo: FNV-1a, 32 bits.
 */
export function textCode(text: string): number {
  if (text === '') return 0;
  let code = FNV_OFFSET;
  for (const byte of Buffer.from(text)) code = Math.imul(code ^ byte, FNV_PRIME);
  return code >>> 0 || 1;
}

/** Number of the field `raw_input_contents` of a `ModelInferRequest`. */
const RAW_CONTENTS = 7;

/** Wire types of protocol buffers that the fields of a request may have. */
const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

/**
 * Returns the bytes of a `ModelInferRequest` whose reading takes time: all of them except raw numbers, which are only
 * copied. Raw strings are read one by one, so all bytes count if a tensor has them.
 */
export function slowBytes(message: Uint8Array): number {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  let raw = 0;
  let offset = 0;
  while (offset < bytes.length) {
    const tag = varint(bytes, offset);
    offset = tag.end;
    const wireType = tag.value % 8;
    if (wireType === VARINT) offset = varint(bytes, offset).end;
    else if (wireType === FIXED_64) offset += 8;
    else if (wireType === FIXED_32) offset += 4;
    else if (wireType === LENGTH_DELIMITED) {
      const { value: length, end } = varint(bytes, offset);
      offset = end + length;
      if (Math.floor(tag.value / 8) === RAW_CONTENTS) raw += length;
      else if (bytes.subarray(end, offset).includes('BYTES')) return bytes.length;
    } else return bytes.length;
  }
  return bytes.length - raw;
}

/** Reads an integer of at most ten bytes, seven bits each. */
function varint(bytes: Uint8Array, start: number): { readonly value: number; readonly end: number } {
  let value = 0;
  let end = start;
  for (let scale = 1; end < start + 10; scale *= 128) {
    const byte = bytes[end] ?? 0;
    end += 1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  return { value, end };
}

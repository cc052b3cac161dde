/**
 * All registers of a Modbus device at one moment. Each change is a new image, so that a response never contains parts
 * of two rows.
 */
export type RegisterImage = {
  /** 16-bit registers from address 0. */
  readonly holding: Uint16Array;
  readonly input: Uint16Array;
  /** 0 or 1 from address 0. */
  readonly coils: Uint8Array;
  readonly discretes: Uint8Array;
};

/** Empty image: every address is refused. */
export const emptyImage: RegisterImage = {
  holding: new Uint16Array(),
  input: new Uint16Array(),
  coils: new Uint8Array(),
  discretes: new Uint8Array(),
};

/** Writes an IEEE 754 float into two registers, high word first ('ABCD'). */
export function putFloat32(registers: Uint16Array, address: number, value: number): void {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  registers[address] = view.getUint16(0);
  registers[address + 1] = view.getUint16(2);
}

/** Writes an unsigned 32-bit count into two registers, high word first ('ABCD'); it wraps at 2³². */
export function putUint32(registers: Uint16Array, address: number, value: number): void {
  registers[address] = Math.floor(value / 65_536) % 65_536;
  registers[address + 1] = value % 65_536;
}

/**
 * Writes a scaled value into one register, as two's complement if it is negative.
 *
 * @param scale Engineering units of one count; the value is limited to the range of int16 or uint16.
 */
export function putScaled16(
  registers: Uint16Array,
  address: number,
  value: number,
  { type, scale }: { readonly type: 'int16' | 'uint16'; readonly scale: number },
): void {
  const [lowest, highest] = type === 'int16' ? [-32_768, 32_767] : [0, 65_535];
  registers[address] = Math.min(Math.max(Math.round(value / scale), lowest), highest);
}

import type { TensorType } from '../../contracts/inference.ts';

/** The protocol's names of element types. */
export const datatypes = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
] as const;
export type Datatype = (typeof datatypes)[number];

const typeOfDatatype = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
} as const satisfies Record<Datatype, TensorType>;

const datatypeOfType = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
} as const satisfies Record<TensorType, Datatype>;

/** Bytes of one element in the binary form; undefined for strings, each of which has its own length. */
const elementBytes = {
  bool: 1,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  float16: 2,
  float32: 4,
  float64: 8,
  string: undefined,
} as const satisfies Record<TensorType, number | undefined>;

/** @returns undefined where the protocol has no such type. */
export function tensorTypeOf(datatype: string): TensorType | undefined {
  // Own keys only: 'constructor' is no datatype.
  return isDatatype(datatype) ? typeOfDatatype[datatype] : undefined;
}

export function datatypeOf(type: TensorType): Datatype {
  return datatypeOfType[type];
}

export function elementBytesOf(type: TensorType): number | undefined {
  return elementBytes[type];
}

function isDatatype(text: string): text is Datatype {
  return Object.hasOwn(typeOfDatatype, text);
}

import type { TensorType } from '../../contracts/inference.ts';

/** The protocol's names of element types. */
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
} as const satisfies Record<string, TensorType>;

export type Datatype = keyof typeof typeOfDatatype;
export const datatypes = Object.keys(typeOfDatatype) as readonly Datatype[];

const datatypeOfType = Object.fromEntries(
  datatypes.map((datatype) => [typeOfDatatype[datatype], datatype]),
) as Readonly<Record<TensorType, Datatype>>;

/** @returns undefined if the protocol has no such type. */
export function tensorTypeOf(datatype: string): TensorType | undefined {
  // Own keys only: 'constructor' is not a datatype.
  return Object.hasOwn(typeOfDatatype, datatype) ? typeOfDatatype[datatype as Datatype] : undefined;
}

export function datatypeOf(type: TensorType): Datatype {
  return datatypeOfType[type];
}

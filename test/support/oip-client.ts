import type { Tensor, TensorData, TensorType } from '../../src/contracts/inference.ts';

/*
 * A client of the Open Inference Protocol that shares no code with the server: what one writes wrongly the other must not
 * read rightly.
 */

export const datatypeByType = new Map<TensorType, string>([
  ['bool', 'BOOL'],
  ['uint8', 'UINT8'],
  ['uint16', 'UINT16'],
  ['uint32', 'UINT32'],
  ['uint64', 'UINT64'],
  ['int8', 'INT8'],
  ['int16', 'INT16'],
  ['int32', 'INT32'],
  ['int64', 'INT64'],
  ['float16', 'FP16'],
  ['float32', 'FP32'],
  ['float64', 'FP64'],
  ['string', 'BYTES'],
]);
export const typeByDatatype = new Map([...datatypeByType].map(([type, datatype]) => [datatype, type]));

export type NamedTensor = { readonly name: string; readonly tensor: Tensor };
export type OipForm = 'json' | 'binary';
export type OipRequest = { readonly body: Uint8Array<ArrayBuffer>; readonly headers: Readonly<Record<string, string>> };

/** Sends tensors in one form, asks for the answer in the same, and reads it. */
export async function oipInfer(
  url: string,
  inputs: readonly NamedTensor[],
  form: OipForm,
): Promise<Map<string, Tensor>> {
  const { body, headers } = oipRequest(inputs, form);
  const answer = await fetch(url, { method: 'POST', body, headers });
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (answer.status !== 200) throw new Error(`${answer.status} ${bytes.toString('utf8').slice(0, 300)}`);
  return readAnswer(bytes, answer.headers.get('inference-header-content-length'));
}

export function oipRequest(inputs: readonly NamedTensor[], form: OipForm): OipRequest {
  if (form === 'json') {
    const texts = inputs.map(
      ({ name, tensor }) => `{${headText(name, tensor)},"data":[${elementsOf(tensor).map(elementText).join(',')}]}`,
    );
    return {
      body: Uint8Array.from(Buffer.from(`{"inputs":[${texts.join(',')}]}`)),
      headers: { 'content-type': 'application/json' },
    };
  }
  const parts = inputs.map(({ tensor }) => elementBytes(tensor));
  const texts = inputs.map(
    ({ name, tensor }, index) =>
      `{${headText(name, tensor)},"parameters":{"binary_data_size":${parts[index]?.length ?? 0}}}`,
  );
  const header = Buffer.from(`{"inputs":[${texts.join(',')}],"parameters":{"binary_data_output":true}}`);
  return {
    body: Uint8Array.from(Buffer.concat([header, ...parts])),
    headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(header.length) },
  };
}

function readAnswer(bytes: Buffer, headerLength: string | null): Map<string, Tensor> {
  const length = headerLength === null ? bytes.length : Number(headerLength);
  const answer = JSON.parse(bytes.toString('utf8', 0, length), exactly) as {
    readonly outputs: readonly {
      readonly name: string;
      readonly datatype: string;
      readonly shape: readonly number[];
      readonly data?: readonly unknown[];
      readonly parameters?: { readonly binary_data_size?: number };
    }[];
  };
  let offset = length;
  return new Map(
    answer.outputs.map(({ name, datatype, shape, data, parameters }) => {
      const type = typeByDatatype.get(datatype) ?? 'string';
      if (data !== undefined) return [name, { type, dims: shape, data: fromElements(type, data) }];
      const size = parameters?.binary_data_size ?? 0;
      const own = bytes.subarray(offset, offset + size);
      offset += size;
      return [name, { type, dims: shape, data: fromBytes(type, own) }];
    }),
  );
}

function exactly(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
    ? BigInt(context?.source ?? 0)
    : value;
}

function headText(name: string, { type, dims }: Tensor): string {
  return `"name":${JSON.stringify(name)},"datatype":"${datatypeByType.get(type)}","shape":[${dims.join(',')}]`;
}

export function elementsOf({ type, data }: Tensor): readonly (number | bigint | string | boolean)[] {
  if (type === 'bool') return [...(data as Uint8Array)].map((bit) => bit !== 0);
  if (type !== 'float16') return [...data];
  const { buffer, byteOffset, length } = data as Uint16Array;
  return [...new Float16Array(buffer, byteOffset, length)];
}

function elementText(value: number | bigint | string | boolean): string {
  if (typeof value === 'number')
    return Number.isFinite(value) ? (Object.is(value, -0) ? '-0' : `${value}`) : `"${value}"`;
  return typeof value === 'string' ? JSON.stringify(value) : `${value}`;
}

export function elementBytes({ type, data }: Tensor): Uint8Array {
  if (type !== 'string') {
    const { buffer, byteOffset, byteLength } = data as Float32Array;
    return new Uint8Array(buffer, byteOffset, byteLength);
  }
  return Buffer.concat(
    (data as readonly string[]).flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

export function fromElements(type: TensorType, data: readonly unknown[]): TensorData {
  if (type === 'string') return data as readonly string[];
  if (type === 'int64') return BigInt64Array.from(data as readonly number[], BigInt);
  if (type === 'uint64') return BigUint64Array.from(data as readonly number[], BigInt);
  if (type === 'float16') return new Uint16Array(Float16Array.from(data.map(Number)).buffer);
  return arrays[type].from(data.map(Number));
}

export function fromBytes(type: TensorType, bytes: Buffer): TensorData {
  if (type === 'string') {
    const strings: string[] = [];
    for (let offset = 0; offset < bytes.length;) {
      const length = bytes.readUInt32LE(offset);
      strings.push(bytes.toString('utf8', offset + 4, offset + 4 + length));
      offset += 4 + length;
    }
    return strings;
  }
  const { buffer } = Uint8Array.from(bytes);
  if (type === 'int64') return new BigInt64Array(buffer);
  if (type === 'uint64') return new BigUint64Array(buffer);
  if (type === 'float16') return new Uint16Array(buffer);
  return new arrays[type](buffer);
}

const arrays = {
  bool: Uint8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

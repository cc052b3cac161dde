import { type ClientOptions, credentials, loadPackageDefinition, Metadata, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { join } from 'node:path';
import type { Tensor, TensorType } from '../../src/contracts/inference.ts';
import {
  datatypeByType,
  elementBytes,
  elementsOf,
  fromBytes,
  fromElements,
  type NamedTensor,
  typeByDatatype,
} from './oip-client.ts';

/** Field of `InferTensorContents` of each datatype. */
const fields: Partial<Record<TensorType, string>> = {
  bool: 'bool_contents',
  int8: 'int_contents',
  int16: 'int_contents',
  int32: 'int_contents',
  int64: 'int64_contents',
  uint8: 'uint_contents',
  uint16: 'uint_contents',
  uint32: 'uint_contents',
  uint64: 'uint64_contents',
  float32: 'fp32_contents',
  float64: 'fp64_contents',
  string: 'bytes_contents',
};

export type GrpcAnswer = Readonly<Record<string, unknown>>;
export type GrpcForm = 'raw' | 'typed';

type InferAnswer = {
  readonly outputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly string[];
    readonly contents: Readonly<Record<string, readonly unknown[]>> | null;
  }[];
  readonly raw_output_contents: readonly Buffer[];
};
type Call = (
  request: object,
  metadata: Metadata,
  options: object,
  done: (error: ServiceError | null, answer: GrpcAnswer) => void,
) => void;
type ClientClass = new (
  address: string,
  given: ReturnType<typeof credentials.createInsecure>,
  options: ClientOptions,
) => Record<string, Call> & { close(): void };

/** A client of the gRPC service. 64-bit integers are texts, and names are those of the protocol. */
export class OipGrpcClient implements Disposable {
  readonly #client;
  readonly #metadata = new Metadata();

  /** @param tls PEM texts: the authority, and the client's key and certificate. */
  constructor(
    address: string,
    {
      token,
      tls,
    }: {
      readonly token?: string;
      readonly tls?: { readonly ca: Buffer; readonly key?: Buffer; readonly cert?: Buffer };
    } = {},
  ) {
    const { inference } = loadPackageDefinition(
      loadSync(join(import.meta.dirname, '../../docs/open-inference.proto'), {
        keepCase: true,
        longs: String,
        defaults: true,
        oneofs: true,
      }),
    ) as unknown as { readonly inference: { readonly GRPCInferenceService: ClientClass } };
    const given =
      tls === undefined
        ? credentials.createInsecure()
        : credentials.createSsl(tls.ca, tls.key ?? null, tls.cert ?? null);
    // A pool of connections is shared by default, so a test would see those of another.
    const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.max_receive_message_length': -1 };
    this.#client = new inference.GRPCInferenceService(address, given, options);
    if (token !== undefined) this.#metadata.set('authorization', `Bearer ${token}`);
  }

  /** @throws {ServiceError} Status and details of the server. @param deadlineMs Longest time for the answer. */
  call(method: string, request: object = {}, deadlineMs = 60_000): Promise<GrpcAnswer> {
    return new Promise((resolve, reject) =>
      this.#client[method]?.(request, this.#metadata, { deadline: Date.now() + deadlineMs }, (error, answer) => {
        if (error === null) resolve(answer);
        else reject(error);
      }),
    );
  }

  /** Sends tensors in one form, and reads the answer. */
  async infer(model: string, inputs: readonly NamedTensor[], form: GrpcForm): Promise<Map<string, Tensor>> {
    const isRaw = form === 'raw' || inputs.some(({ tensor }) => fields[tensor.type] === undefined);
    const request = {
      model_name: model,
      inputs: inputs.map(({ name, tensor }) => ({
        name,
        datatype: datatypeByType.get(tensor.type),
        shape: tensor.dims,
        ...(isRaw ? {} : { contents: { [fields[tensor.type] ?? '']: typed(tensor) } }),
      })),
      raw_input_contents: isRaw ? inputs.map(({ tensor }) => elementBytes(tensor)) : [],
    };
    return readAnswer((await this.call('ModelInfer', request)) as InferAnswer);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

function typed(tensor: Tensor): readonly unknown[] {
  const elements = elementsOf(tensor);
  if (tensor.type === 'string') return elements.map((text) => Buffer.from(String(text)));
  return elements.map((element) => (typeof element === 'bigint' ? String(element) : element));
}

function readAnswer({ outputs, raw_output_contents: raw }: InferAnswer): Map<string, Tensor> {
  return new Map(
    outputs.map(({ name, datatype, shape, contents }, index) => {
      const type = typeByDatatype.get(datatype) ?? 'string';
      const dims = shape.map(Number);
      const bytes = raw[index];
      if (bytes !== undefined) return [name, { type, dims, data: fromBytes(type, bytes) }];
      const elements = contents?.[fields[type] ?? ''] ?? [];
      const data = type === 'string' ? elements.map(String) : fromElements(type, elements);
      return [name, { type, dims, data }];
    }),
  );
}

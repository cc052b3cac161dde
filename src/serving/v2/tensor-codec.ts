import { Worker } from 'node:worker_threads';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage } from '../../platform/errors.ts';
import { RpcClient } from '../../platform/rpc.ts';
import { threadPort } from '../../platform/rpc-ports.ts';
import { type InferRequest, type ModelRequest, parseInferRequest } from './infer-request.ts';
import type { EncodedMessage } from '../../protocols/open-inference/write-tensors.ts';
import { encodeInferResponse, type InferAnswer, textElements } from './infer-response.ts';
import { v2Metrics } from './v2-metrics.ts';
import { v2Failure } from './v2-errors.ts';

/** Text up to this size is parsed in about 0.25 ms, less than passing it to a thread costs. */
export const TEXT_BYTES_MAX = 16_384;
export const TEXT_ELEMENTS_MAX = 1_024;
/** Parsed JSON needs up to 40 times the size of its text (lists of empty lists). V8 ends a thread that exceeds this. */
const HEAP_PER_BODY_BYTE = 48;
const HEAP_MB_MIN = 64;

/** Calls to the codec thread. */
export type CodecProtocol = {
  readonly decode: {
    readonly params: { readonly body: Uint8Array; readonly headerLength: number | undefined };
    readonly result: InferRequest;
  };
  readonly encode: { readonly params: InferAnswer; readonly result: EncodedMessage };
  /** The same for the messages of gRPC. */
  readonly decodeMessage: { readonly params: Uint8Array; readonly result: ModelRequest };
  readonly encodeMessage: { readonly params: InferAnswer; readonly result: Uint8Array };
};

export type TensorCodecOptions = {
  /** URL of hosts/tensor-codec.ts. */
  readonly entry: URL;
  readonly bodyBytesMax: number;
  readonly deps: Deps;
};

/**
 * Reads and writes inference requests: small ones directly, ones with much text in a thread, so that megabytes of JSON from one
 * client do not delay the others. The thread starts with the first such request, and again after it has ended.
 */
export class TensorCodec implements AsyncDisposable {
  readonly #options: TensorCodecOptions;
  readonly #restarts;
  #thread: { readonly worker: Worker; readonly rpc: RpcClient<CodecProtocol> } | undefined;

  constructor(options: TensorCodecOptions) {
    this.#options = options;
    this.#restarts = options.deps.metrics.of(v2Metrics).andon_http_codec_restarts_total;
  }

  /**
   * @param body The caller must not use it afterwards: a large one is moved to the thread.
   * @throws {OperatingError} See `parseInferRequest`; 'infer-busy' if the thread ended during the call.
   */
  decode(body: Uint8Array, headerLength: number | undefined): InferRequest | Promise<InferRequest> {
    if (body.length <= TEXT_BYTES_MAX || isSmallHeader(body, headerLength))
      return parseInferRequest(body, headerLength);
    return this.inThread('decode', { body, headerLength }, ownBuffer(body));
  }

  /** @throws {OperatingError} 'infer-busy' if the thread ended during the call. */
  encode(answer: InferAnswer): EncodedMessage | Promise<EncodedMessage> {
    if (textElements(answer.outputs, answer.tensors) <= TEXT_ELEMENTS_MAX) return encodeInferResponse(answer);
    return this.inThread('encode', answer);
  }

  /**
   * Reads or writes a large message in the thread.
   *
   * @param transfer Buffers that are moved to the thread.
   * @throws {OperatingError} 'infer-busy' if the thread ended during the call.
   */
  inThread<Method extends keyof CodecProtocol>(
    method: Method,
    params: CodecProtocol[Method]['params'],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<CodecProtocol[Method]['result']> {
    this.#thread ??= this.#start();
    return this.#thread.rpc.call(method, params, undefined, transfer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    thread?.rpc.close(v2Failure('infer-busy', 'The model server is stopping'));
    await thread?.worker.terminate();
  }

  #start() {
    const { entry, bodyBytesMax, deps } = this.#options;
    const heapMb = Math.max(HEAP_MB_MIN, Math.ceil((bodyBytesMax * HEAP_PER_BODY_BYTE) / 1e6));
    const worker = new Worker(entry, { name: 'tensor-codec', resourceLimits: { maxOldGenerationSizeMb: heapMb } });
    const thread = { worker, rpc: new RpcClient<CodecProtocol>(threadPort(worker), deps.clock) };
    const lost = (reason: string): void => {
      thread.rpc.close(v2Failure('infer-busy', `The request could not be read or answered: ${reason}`));
      if (this.#thread !== thread) return;
      this.#thread = undefined;
      this.#restarts.inc();
      deps.log.warn({ reason }, 'The codec thread ended; the next large request starts another.');
    };
    worker.on('error', (error) => lost(errorMessage(error)));
    worker.on('exit', (code) => lost(`its thread ended with code ${code}`));
    return thread;
  }
}

/**
 * Returns true if a large body consists of numbers in binary form, which are only copied. Strings are parsed one by one, and an
 * escape in the JSON could hide their datatype.
 */
function isSmallHeader(body: Uint8Array, headerLength: number | undefined): boolean {
  if (headerLength === undefined || headerLength > TEXT_BYTES_MAX) return false;
  const header = Buffer.from(body.buffer, body.byteOffset, Math.min(headerLength, body.length));
  return !header.includes('BYTES') && !header.includes('\\');
}

/** Returns the memory of a body if it contains nothing else. */
function ownBuffer({ buffer, byteLength }: Uint8Array): readonly ArrayBuffer[] {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [];
}

import type { InferRequest } from './infer-request.ts';
import type { EncodedMessage } from '../../protocols/open-inference/write-tensors.ts';
import type { InferAnswer } from './infer-response.ts';

/** Calls to the codec thread. */
export type CodecProtocol = {
  readonly decode: {
    readonly params: { readonly body: Uint8Array; readonly headerLength: number | undefined };
    readonly result: InferRequest;
  };
  readonly encode: { readonly params: InferAnswer; readonly result: EncodedMessage };
};

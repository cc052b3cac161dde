import type { InferRequest } from './infer-request.ts';
import type { EncodedAnswer, InferAnswer } from './infer-response.ts';

/** What the codec thread is asked. */
export type CodecProtocol = {
  readonly decode: {
    readonly params: { readonly body: Uint8Array; readonly headerLength: number | undefined };
    readonly result: InferRequest;
  };
  readonly encode: { readonly params: InferAnswer; readonly result: EncodedAnswer };
};

import type { ModelRequest } from '../v2/infer-request.ts';
import { type InferAnswer, textElements } from '../v2/infer-response.ts';
import { TEXT_BYTES_MAX, TEXT_ELEMENTS_MAX, type TensorCodec } from '../v2/tensor-codec.ts';
import { readInferRequest, writeInferResponse } from './infer-messages.ts';
import { slowBytes } from './message-size.ts';

/** Reads a `ModelInferRequest`: a small one directly, one with many typed elements or strings in the codec thread. */
export function decodeRequest(codec: TensorCodec, message: Uint8Array): ModelRequest | Promise<ModelRequest> {
  return message.length <= TEXT_BYTES_MAX || slowBytes(message) <= TEXT_BYTES_MAX
    ? readInferRequest(message)
    : codec.inThread('decodeMessage', message);
}

/** Writes a `ModelInferResponse`, a large one with typed elements or strings in the codec thread. */
export function encodeAnswer(codec: TensorCodec, answer: InferAnswer): Uint8Array | Promise<Uint8Array> {
  return textElements(answer.outputs, answer.tensors) <= TEXT_ELEMENTS_MAX
    ? writeInferResponse(answer)
    : codec.inThread('encodeMessage', answer);
}

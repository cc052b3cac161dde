import type { CodecProtocol } from '../serving/v2/tensor-codec.ts';
import { parseInferRequest } from '../serving/v2/infer-request.ts';
import { encodeInferResponse } from '../serving/v2/infer-response.ts';
import { serveRpc } from '../platform/rpc.ts';
import { parentThreadPort } from '../platform/rpc-ports.ts';
import { lowerPriority } from './lower-priority.ts';

/*
 * Entry file of the codec thread: reads and writes inference requests whose text would block the thread with the sockets. It has no
 * state and can be replaced at any time.
 */
lowerPriority();

serveRpc<CodecProtocol>(parentThreadPort(), {
  decode: ({ body, headerLength }) => parseInferRequest(body, headerLength),
  encode: (answer) => encodeInferResponse(answer),
  // Loaded only if clients use gRPC.
  decodeMessage: async (message) => (await import('../serving/grpc/infer-messages.ts')).readInferRequest(message),
  encodeMessage: async (answer) => (await import('../serving/grpc/infer-messages.ts')).writeInferResponse(answer),
});

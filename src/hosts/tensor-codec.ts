import { parentPort } from 'node:worker_threads';
import type { CodecProtocol } from '../serving/v2/tensor-codec.ts';
import { parseInferRequest } from '../serving/v2/infer-request.ts';
import { encodeInferResponse } from '../serving/v2/infer-response.ts';
import { invariant } from '../platform/errors.ts';
import { serveRpc } from '../platform/rpc.ts';
import { lowerPriority } from './lower-priority.ts';

/*
 * Entry file of the codec thread: reads and writes inference requests whose text would block the thread with the sockets. It has no
 * state and can be replaced at any time.
 */
const port = parentPort;
invariant(port !== null, 'tensor-codec.ts is started as a worker thread');
lowerPriority();

serveRpc<CodecProtocol>(
  { post: (message) => port.postMessage(message), onMessage: (listener) => port.on('message', listener) },
  {
    decode: ({ body, headerLength }) => parseInferRequest(body, headerLength),
    encode: (answer) => encodeInferResponse(answer),
  },
);

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ClientInference } from '../../contracts/inference.ts';
import { acceptedCoding, compress } from './body-encoding.ts';
import { rawInferRequest } from './infer-request.ts';
import { findModel } from './model-lookup.ts';
import type { ModelParams } from './model-routes.ts';
import type { TensorCodec } from './tensor-codec.ts';
import { malformed } from '../../protocols/open-inference/malformed.ts';
import { runRequest } from './run-request.ts';

/** Number of bytes of JSON in a body; the rest are tensors in binary form. */
const HEADER_LENGTH = 'inference-header-content-length';

export type InferRouteOptions = {
  readonly inference: Pick<ClientInference, 'served' | 'models' | 'run'>;
  readonly codec: TensorCodec;
};

/** `POST /v2/models/<name>[/versions/<version>]/infer`. The body is already decompressed. */
export function inferHandler({ inference, codec }: InferRouteOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { model: name, version } = request.params as ModelParams;
    const model = await findModel(inference, name, version);
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const headerLength = headerLengthOf(request);
    const asked =
      headerLength === 0 ? rawInferRequest(body, model.served.inputs) : await codec.decode(body, headerLength);
    const encoded = await codec.encode(await runRequest(inference, asked, model, version));
    const answer = await compress(encoded.body, acceptedCoding(request.headers['accept-encoding']));
    if (encoded.headerLength !== undefined) reply.header(HEADER_LENGTH, String(encoded.headerLength));
    if (answer.coding !== 'identity') reply.header('content-encoding', answer.coding);
    return reply
      .type(encoded.headerLength === undefined ? 'application/json' : 'application/octet-stream')
      .send(answer.body);
  };
}

/** @throws {OperatingError} 'infer-request-invalid' if it is not a number of bytes. */
function headerLengthOf(request: FastifyRequest): number | undefined {
  const text = request.headers[HEADER_LENGTH];
  if (text === undefined) return undefined;
  if (typeof text === 'string' && /^\d{1,15}$/.test(text)) return Number(text);
  throw malformed(`Inference-Header-Content-Length '${String(text).slice(0, 40)}' is not a number of bytes`);
}

import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyInstance } from 'fastify';

/** Smaller answers are sent as they are. */
const BYTES_MIN = 16_384;

const compress = promisify(gzip);

/** Compresses large texts for clients that accept gzip, outside of the main thread. A month of eight tags is 300 kB of JSON. */
export function compressLargeAnswers(app: FastifyInstance): void {
  app.addHook('onSend', async ({ headers }, reply, payload) => {
    const accepts = headers['accept-encoding']?.includes('gzip') === true;
    if (typeof payload !== 'string' || payload.length < BYTES_MIN || !accepts || reply.hasHeader('content-encoding'))
      return payload;
    const content = await compress(payload, { level: 1 });
    reply.header('content-encoding', 'gzip').header('vary', 'accept-encoding').removeHeader('content-length');
    return content;
  });
}

import { fork } from 'node:child_process';
import { once } from 'node:events';
import fastify from 'fastify';
import { servePeer } from './peer.ts';

/*
 * The minimum that serves a model outside the event loop: a fastify route, a message to a child, a message back. There are no
 * checks, limits, counters or batches, and the route ends with its child.
 */

export type BareRouteProtocol = {
  /** @returns URL of the route. */
  readonly listen: { readonly params: { readonly modelFile: string }; readonly result: string };
};

type Asked = { readonly inputs: readonly [{ readonly shape: readonly number[]; readonly data: readonly number[] }] };

servePeer<BareRouteProtocol>({
  listen: async ({ modelFile }) => {
    const env = { ...process.env, ORT_DISABLE_TELEMETRY: '1' };
    const entry = new URL('bare-session.ts', import.meta.url);
    const child = fork(entry, [modelFile], { serialization: 'advanced', env });
    await once(child, 'message');
    const waiting: ((score: Float32Array) => void)[] = [];
    child.on('message', (score: Float32Array) => waiting.shift()?.(score));
    const app = fastify();
    const infer = async (asked: Asked): Promise<object> => {
      const [{ shape, data }] = asked.inputs;
      const score = await new Promise<Float32Array>((resolve) => {
        waiting.push(resolve);
        child.send({ shape, data: Float32Array.from(data) });
      });
      return { outputs: [{ name: 'score', datatype: 'FP32', shape: [score.length], data: [...score] }] };
    };
    // Requests of the bench, in the form of the Open Inference Protocol.
    app.post('/infer', ({ body }) => infer(body as Asked));
    return `${await app.listen({ host: '127.0.0.1', port: 0 })}/infer`;
  },
});

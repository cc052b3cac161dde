import { once } from 'node:events';
import { connect } from 'node:net';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { SeededDraws } from '../../../src/domain/seeded-draws.ts';
import { methodOf } from '../../../src/serving/grpc/inference-service.ts';
import { OipGrpcClient } from '../../support/oip-grpc-client.ts';
import { V2Server } from '../../support/v2-server.ts';
import { echoModel, FakeModels } from '../v2/fake-models.ts';

const PATH = '/inference.GRPCInferenceService/ModelInfer';
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const EXPECTED: ReadonlySet<status> = new Set([
  status.OK,
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.UNIMPLEMENTED,
]);
const models = new FakeModels([echoModel('echo', [{ name: 'x', type: 'float32', dims: [-1, 2] }])]);
const input = { name: 'x', datatype: 'FP32', shape: [1, 2] };

/** Returns a function that draws integers from 0 to below its argument. */
function drawsBelow(seed: number): (count: number) => number {
  const draws = new SeededDraws(seed);
  return (count) => Math.floor(draws.uniform() * count);
}

test('random connections and frames close, and the next client is served', async () => {
  const draw = drawsBelow(11);
  await using server = await V2Server.start(models, { grpc: '127.0.0.1:0' });
  const [host = '', port = ''] = server.grpcAddress.split(':');
  for (let index = 0; index < 150; index += 1) {
    const noise = Buffer.from(Array.from({ length: 1 + draw(200) }, () => draw(256)));
    // A frame of SETTINGS, HEADERS, DATA, RST_STREAM or any other type, of a length that is true or not.
    const frame = Buffer.concat([Buffer.from([0, 0, draw(256), draw(12), draw(64), 0, 0, 0, draw(5)]), noise]);
    const socket = connect(Number(port), host);
    socket.on('error', () => undefined);
    const closed = once(socket, 'close');
    socket.resume();
    socket.write(index % 3 === 0 ? noise : Buffer.concat([PREFACE, frame, frame]));
    socket.end();
    await closed;
  }
  using client = new OipGrpcClient(server.grpcAddress);
  expect(await client.call('ServerLive')).toEqual({ live: true });
});

test('a damaged request is answered with a result, or with an error of the request', async () => {
  const draw = drawsBelow(12);
  await using server = await V2Server.start(models, { grpc: '127.0.0.1:0' });
  const client = new Client(server.grpcAddress, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  const valid = [
    { model_name: 'echo', inputs: [input], raw_input_contents: [Buffer.alloc(8)], outputs: [{ name: 'x' }] },
    {
      model_name: 'echo',
      id: 'a',
      inputs: [{ ...input, contents: { fp32_contents: [1, 2] } }],
      parameters: { a: { int64_param: 7 } },
    },
  ].map((request) => methodOf('ModelInfer').requestSerialize(request));
  const send = (message: Buffer) =>
    new Promise<status>((resolve) => {
      const same = (bytes: Buffer) => bytes;
      client.makeUnaryRequest(PATH, same, same, message, (error: ServiceError | null) =>
        resolve(error?.code ?? status.OK),
      );
    });
  const counts = new Map<status, number>();
  for (let index = 0; index < 800; index += 1) {
    const message = Buffer.from(valid[index % 2] ?? []);
    for (let changes = draw(4); changes > 0; changes -= 1) message[draw(message.length)] = draw(256);
    const code = await send(draw(4) === 0 ? message.subarray(0, draw(message.length)) : message);
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  client.close();
  expect([...counts.keys()].filter((code) => !EXPECTED.has(code)).map((code) => status[code])).toEqual([]);
  expect(counts.get(status.OK)).toBeGreaterThan(100);
  expect(counts.get(status.INVALID_ARGUMENT)).toBeGreaterThan(100);
});

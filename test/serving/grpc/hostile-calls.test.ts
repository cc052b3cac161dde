import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { OipGrpcClient } from '../../support/oip-grpc-client.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';
import { V2Server } from '../../support/v2-server.ts';
import { methodOf } from '../../../src/serving/grpc/inference-service.ts';
import { echoModel, FakeModels } from '../v2/fake-models.ts';

const grpc = '127.0.0.1:0';
const x = { name: 'x', type: 'float32', dims: [-1, 2] } as const;
const request = {
  model_name: 'echo',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], contents: { fp32_contents: [1, 2] } }],
};

function echo(wait?: Promise<unknown>): FakeModels {
  const model = echoModel('echo', [x]);
  return new FakeModels([
    {
      ...model,
      run: async (tensors) => {
        await wait;
        return tensors;
      },
    },
  ]);
}

function sessionOf(server: V2Server): ClientHttp2Session {
  return connectHttp2(`http://${server.grpcAddress}`).on('error', () => undefined);
}

function open(session: ClientHttp2Session, method: string): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': `/inference.GRPCInferenceService/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  return stream.on('error', () => undefined);
}

/** Returns a request of so many rows with its frame of five bytes. */
function framed(rows: number): Buffer {
  const message = methodOf('ModelInfer').requestSerialize({
    model_name: 'echo',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 2] }],
    raw_input_contents: [Buffer.alloc(rows * 8)],
  });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

test.each(['ServerLive', 'ServerReady', 'ModelInfer', 'ModelStreamInfer'])(
  'calls of %s without a message keep no connection from a client',
  async (method) => {
    const folder = mkdtempSync(join(tmpdir(), 'andon-'));
    writeFileSync(join(folder, 'secret'), 'operator-token');
    // A stranger may not start an inference if there are tokens.
    const access = method.startsWith('Server') ? { token: { file: join(folder, 'secret') } } : {};
    await using server = await V2Server.start(echo(), { grpc, maxConnections: 4, ...access });
    const sessions = Array.from({ length: 4 }, () => sessionOf(server));
    for (const session of sessions) open(session, method);
    // The server has received the calls when it answers a ping that was sent after them.
    await Promise.all(sessions.map((session) => new Promise((resolve) => session.ping(resolve))));
    using client = new OipGrpcClient(server.grpcAddress, 'token' in access ? { token: 'operator-token' } : {});
    expect(await client.call('ModelInfer', request)).toMatchObject({ model_name: 'echo' });
    for (const session of sessions) session.destroy();
  },
);

test('silent health checks leave the places for messages to the others', async () => {
  const clock = new FakeClock();
  await using server = await V2Server.start(echo(), { grpc }, testDeps(clock));
  const session = sessionOf(server);
  for (let i = 0; i < 100; i++) open(session, 'ServerLive');
  await new Promise((resolve) => session.ping(resolve));
  using client = new OipGrpcClient(server.grpcAddress);
  expect(await client.call('ModelInfer', request)).toMatchObject({ model_name: 'echo' });
  session.destroy();
});

test('a message whose call stays open is in the memory of all requests, and refused at the end of its time', async () => {
  const clock = new FakeClock();
  await using server = await V2Server.start(echo(), { grpc, requestTimeout: '20s' }, testDeps(clock));
  const session = sessionOf(server);
  const stream = open(session, 'ModelInfer');
  const message = framed(1_000);
  stream.write(message);
  await expect.poll(() => metricValue(server.deps, 'andon_http_infer_bytes')).toBe(message.length - 5);
  const answered = once(stream, 'response') as Promise<[Record<string, string>]>;
  await clock.advance(20_000);
  expect((await answered)[0]['grpc-status']).toBe(String(status.DEADLINE_EXCEEDED));
  await expect.poll(() => metricValue(server.deps, 'andon_http_infer_bytes')).toBe(0);
  session.destroy();
});

test('the next message of a stream is read when the one before is answered', async () => {
  const held = Promise.withResolvers<undefined>();
  const models = echo(held.promise);
  await using server = await V2Server.start(models, { grpc }, testDeps(new FakeClock()));
  const session = sessionOf(server);
  const stream = open(session, 'ModelStreamInfer');
  const message = framed(40_000);
  let sent = 0;
  for (let i = 0; i < 8; i++) stream.write(message, () => (sent += 1));
  stream.end();
  await expect.poll(() => models.asked.length).toBe(1);
  for (let i = 0; i < 100; i++) await new Promise((resolve) => session.ping(resolve));
  // One runs, and the window of the connection has a part of the next.
  expect(sent).toBeLessThanOrEqual(2);
  held.resolve(undefined);
  let bytes = 0;
  stream.on('data', (data: Buffer) => (bytes += data.length));
  await once(stream, 'end');
  expect(models.asked).toHaveLength(8);
  expect(bytes).toBeGreaterThan(8 * 320_000);
  session.destroy();
});

test('a client that does not read the answers of its stream loses its connection', async () => {
  const clock = new FakeClock();
  const models = echo();
  await using server = await V2Server.start(models, { grpc }, testDeps(clock));
  const session = sessionOf(server);
  const closed = once(session, 'close');
  const stream = open(session, 'ModelStreamInfer');
  stream.write(framed(40_000));
  await once(stream, 'response');
  await clock.advance(30_000);
  expect(await closed).toEqual([]);
});

test('a client that answers no ping loses its connection', async () => {
  await using server = await V2Server.start(echo(), { grpc }, testDeps(), { keepAliveMs: 50 });
  const port = Number(server.grpcAddress.split(':')[1]);
  const socket = connect(port, '127.0.0.1');
  // The start of HTTP/2 with empty settings; nothing is sent after it.
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
  socket.resume();
  expect(await once(socket, 'close')).toEqual([false]);
});

test('a new stream takes the place of the longest idle one', async () => {
  await using server = await V2Server.start(echo(), { grpc }, testDeps(new FakeClock()));
  const session = sessionOf(server);
  const idle = Array.from({ length: 32 }, () => open(session, 'ModelStreamInfer'));
  const refused = once(idle[0] ?? session, 'response') as Promise<[Record<string, string>]>;
  await new Promise((resolve) => session.ping(resolve));
  const next = open(session, 'ModelStreamInfer');
  next.write(framed(1));
  const [answer] = (await once(next, 'data')) as [Buffer];
  expect(answer.length).toBeGreaterThan(5);
  expect((await refused)[0]['grpc-status']).toBe(String(status.UNAVAILABLE));
  session.destroy();
});

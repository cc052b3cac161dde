import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2, constants } from 'node:http2';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OperatingError } from '../../../src/platform/errors.ts';
import { TestCertificates } from '../../support/broker-certificates.ts';
import { importedPackages } from '../../support/imported-packages.ts';
import { OipGrpcClient } from '../../support/oip-grpc-client.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';
import { V2Server } from '../../support/v2-server.ts';
import { echoModel, FakeModels } from '../v2/fake-models.ts';

const x = { name: 'x', type: 'float32', dims: [-1, 2] } as const;
const grpc = '127.0.0.1:0';
const input = { name: 'x', datatype: 'FP32', shape: [1, 2] };
const request = { model_name: 'echo', inputs: [{ ...input, contents: { fp32_contents: [1, 2] } }] };
const raw = (count: number) => ({
  model_name: 'echo',
  inputs: [{ ...input, shape: [count / 2, 2] }],
  raw_input_contents: [Buffer.alloc(count * 4)],
});

function echo(run?: () => Promise<unknown>): FakeModels {
  const model = echoModel('echo', [x]);
  return new FakeModels([
    {
      ...model,
      run: async (tensors) => {
        await run?.();
        return tensors;
      },
    },
  ]);
}

function secret(text: string): { readonly file: string } {
  const file = join(mkdtempSync(join(tmpdir(), 'andon-')), 'secret');
  writeFileSync(file, text);
  return { file };
}

test('a request with typed contents gets typed contents, and one with raw contents raw ones', async () => {
  await using server = await V2Server.start(echo(), { grpc });
  using client = new OipGrpcClient(server.grpcAddress);
  expect(await client.call('ModelInfer', { ...request, id: 'seven' })).toMatchObject({
    id: 'seven',
    model_version: '1',
    outputs: [{ name: 'x', datatype: 'FP32', shape: ['1', '2'], contents: { fp32_contents: [1, 2] } }],
    raw_output_contents: [],
  });
  // MLServer's client sends empty contents with raw ones.
  const { inputs, ...message } = raw(2);
  const withEmpty = { ...message, inputs: inputs.map((each) => ({ ...each, contents: {} })) };
  expect(await client.call('ModelInfer', withEmpty)).toMatchObject({
    outputs: [{ contents: null }],
    raw_output_contents: [Buffer.alloc(8)],
  });
  await expect
    .poll(() => metricValue(server.deps, 'andon_grpc_request_duration_seconds_count{method="ModelInfer",status="OK"}'))
    .toBe(2);
});

describe('a wrong request is refused with its place and what was expected', () => {
  let server: V2Server;
  let client: OipGrpcClient;
  beforeAll(async () => {
    server = await V2Server.start(echo(), { grpc });
    client = new OipGrpcClient(server.grpcAddress);
  });
  afterAll(async () => {
    client[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
  });
  test.each([
    [
      'no inputs',
      { model_name: 'echo', inputs: [{ ...input, shape: [1, 3] }], raw_input_contents: [Buffer.alloc(8)] },
      /'x' has 8 bytes, but 3/,
    ],
    [
      'too few elements',
      { model_name: 'echo', inputs: [{ ...input, contents: { fp32_contents: [1] } }] },
      /1 elements in fp32_contents/,
    ],
    [
      'another field',
      { model_name: 'echo', inputs: [{ ...input, contents: { fp64_contents: [1, 2] } }] },
      /fp64_contents, expected fp32/,
    ],
    ['both forms', { ...request, raw_input_contents: [Buffer.alloc(8)] }, /both contents and raw/],
    [
      'raw contents of one input of two',
      { model_name: 'echo', inputs: [input, { ...input, name: 'y' }], raw_input_contents: [Buffer.alloc(8)] },
      /2 inputs, but 1 raw/,
    ],
    [
      'an input twice',
      { model_name: 'echo', inputs: [input, input], raw_input_contents: [Buffer.alloc(8), Buffer.alloc(8)] },
      /'x' occurs twice/,
    ],
    [
      'half precision in typed form',
      { model_name: 'echo', inputs: [{ ...input, datatype: 'FP16', contents: { fp32_contents: [1, 2] } }] },
      /raw_input_contents/,
    ],
    [
      'an integer out of range',
      { model_name: 'echo', inputs: [{ ...input, datatype: 'INT8', contents: { int_contents: [1, 200] } }] },
      /-128 to 127/,
    ],
  ])('%s', async (_title, given, details) => {
    await expect(client.call('ModelInfer', given)).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(details) as string,
    });
  });
});

test('an error of the model has the status that tells a client whether to retry', async () => {
  const models = echo();
  await using server = await V2Server.start(models, { grpc });
  using client = new OipGrpcClient(server.grpcAddress);
  for (const [code, disposition, expected] of [
    ['inference-queue-full', 'retry', status.UNAVAILABLE],
    ['inference-timeout', 'retry', status.DEADLINE_EXCEEDED],
    ['model-input-invalid', 'reject', status.INVALID_ARGUMENT],
    ['model-output-invalid', 'reject', status.INTERNAL],
  ] as const) {
    models.failure = new OperatingError(code, disposition, code);
    await expect(client.call('ModelInfer', request)).rejects.toMatchObject({ code: expected, details: code });
  }
});

test('a message above serving.maxBody is refused, as sent or decompressed; one below it is answered', async () => {
  await using server = await V2Server.start(echo(), { grpc, maxBody: '100kB' });
  using client = new OipGrpcClient(server.grpcAddress);
  await expect(client.call('ModelInfer', raw(30_000))).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  expect(await client.call('ModelInfer', raw(20_000))).toMatchObject({ outputs: [{ shape: ['10000', '2'] }] });
});

test('large typed and text tensors go through the codec thread unchanged', async () => {
  const words = { name: 'x', type: 'string', dims: [-1] } as const;
  await using server = await V2Server.start(new FakeModels([echoModel('echo', [x]), echoModel('words', [words])]), {
    grpc,
  });
  using client = new OipGrpcClient(server.grpcAddress);
  const numbers = {
    type: 'float32',
    dims: [10_000, 2],
    data: Float32Array.from({ length: 20_000 }, (_, i) => i / 3),
  } as const;
  const texts = {
    type: 'string',
    dims: [5_000],
    data: Array.from({ length: 5_000 }, (_, i) => `Pumpe ${i} Öl`),
  } as const;
  expect((await client.infer('echo', [{ name: 'x', tensor: numbers }], 'typed')).get('x')).toEqual(numbers);
  expect((await client.infer('words', [{ name: 'x', tensor: texts }], 'raw')).get('x')).toEqual(texts);
});

test('a client deadline ends its call; the server continues', async () => {
  const held = Promise.withResolvers<undefined>();
  await using server = await V2Server.start(
    echo(() => held.promise),
    { grpc },
    // Its time stands still, so that a slow machine does not end the wait for the call.
    testDeps(new FakeClock()),
  );
  using client = new OipGrpcClient(server.grpcAddress);
  await client.call('ServerLive');
  await expect(client.call('ModelInfer', request, 200)).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
  held.resolve(undefined);
  expect(await client.call('ModelInfer', request)).toMatchObject({ model_name: 'echo' });
});

test('a call in progress is answered before the server has stopped', async () => {
  const held = Promise.withResolvers<undefined>();
  const begun = Promise.withResolvers<undefined>();
  const server = await V2Server.start(
    echo(() => {
      begun.resolve(undefined);
      return held.promise;
    }),
    { grpc },
    // Its time stands still, so that a slow machine does not end the wait for the call.
    testDeps(new FakeClock()),
  );
  using client = new OipGrpcClient(server.grpcAddress);
  const answer = client.call('ModelInfer', request);
  await begun.promise;
  const stopped = server[Symbol.asyncDispose]();
  held.resolve(undefined);
  expect(await answer).toMatchObject({ model_name: 'echo' });
  await stopped;
});

test('a request that does not arrive in time is refused, and its place is free again', async () => {
  await using server = await V2Server.start(echo(), { grpc, requestTimeout: '2s' });
  const session = connectHttp2(`http://${server.grpcAddress}`);
  const silent = Array.from({ length: 20 }, () => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/inference.GRPCInferenceService/ModelInfer',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    // The length of a message that never comes.
    stream.write(Buffer.from([0, 0, 1, 0, 0]));
    stream.resume();
    return stream;
  });
  const statuses = await Promise.all(
    silent.map(async (stream) => {
      const [headers] = (await once(stream, 'response')) as [Record<string, string>];
      if (headers['grpc-status'] !== undefined) return headers['grpc-status'];
      const [trailers] = (await once(stream, 'trailers')) as [Record<string, string>];
      return trailers['grpc-status'];
    }),
  );
  session.destroy();
  expect(new Set(statuses)).toEqual(new Set([String(status.DEADLINE_EXCEEDED)]));
  using client = new OipGrpcClient(server.grpcAddress);
  expect(await client.call('ModelInfer', request)).toMatchObject({ model_name: 'echo' });
});

test('methods need the roles of their HTTP paths; health needs none', async () => {
  const settings = { grpc, token: secret('operator-token'), adminToken: secret('admin-token') };
  await using server = await V2Server.start(echo(), settings);
  const codes = async (token?: string) => {
    using client = new OipGrpcClient(server.grpcAddress, token === undefined ? {} : { token });
    const calls = [['ServerReady'], ['ServerMetadata'], ['ModelInfer', request], ['RepositoryIndex']] as const;
    return await Promise.all(
      calls.map(([method, given]) =>
        client.call(method, given).then(
          () => 'OK',
          (error: { readonly code: status }) => status[error.code],
        ),
      ),
    );
  };
  expect(await codes()).toEqual(['OK', 'UNAUTHENTICATED', 'UNAUTHENTICATED', 'UNAUTHENTICATED']);
  expect(await codes('wrong')).toEqual(['OK', 'UNAUTHENTICATED', 'UNAUTHENTICATED', 'UNAUTHENTICATED']);
  expect(await codes('operator-token')).toEqual(['OK', 'OK', 'OK', 'PERMISSION_DENIED']);
  expect(await codes('admin-token')).toEqual(['OK', 'OK', 'OK', 'OK']);
});

test('TLS and client certificates are those of section serving', async () => {
  await using certificates = TestCertificates.make();
  const { server: pair, client: own } = certificates;
  const ca = readFileSync(certificates.ca);
  const tls = { ...pair, clientCa: certificates.ca };
  await using server = await V2Server.start(echo(), { grpc, tls });
  using trusted = new OipGrpcClient(server.grpcAddress, {
    tls: { ca, key: readFileSync(own.key), cert: readFileSync(own.cert) },
  });
  expect(await trusted.call('ModelInfer', request)).toMatchObject({ model_name: 'echo' });
  for (const options of [{}, { tls: { ca } }]) {
    using stranger = new OipGrpcClient(server.grpcAddress, options);
    await expect(stranger.call('ServerLive')).rejects.toMatchObject({ code: status.UNAVAILABLE });
  }
});

test('above maxConnections a new client takes the place of an idle connection without a login', async () => {
  await using server = await V2Server.start(echo(), { grpc, maxConnections: 4 });
  const idle = Array.from({ length: 4 }, () => connectHttp2(`http://${server.grpcAddress}`));
  for (const session of idle) session.on('error', () => undefined);
  using client = new OipGrpcClient(server.grpcAddress);
  expect(await client.call('ModelInfer', request)).toMatchObject({ model_name: 'echo' });
  for (const session of idle) session.destroy();
});

test.each([
  [true, 503, false],
  [false, 200, true],
])('with strictReadiness %s, a model that failed gives %i and %s', async (strictReadiness, code, ready) => {
  const models = new FakeModels([echoModel('echo', [x]), { ...echoModel('broken', [x]), state: 'failed' }]);
  await using server = await V2Server.start(models, { grpc, strictReadiness });
  using client = new OipGrpcClient(server.grpcAddress);
  expect((await server.get('/v2/health/ready')).status).toBe(code);
  expect(await client.call('ServerReady')).toEqual({ ready });
  expect(await client.call('ModelReady', { name: 'broken' })).toEqual({ ready: false });
});

test('a method of shared memory is answered as not implemented', async () => {
  await using server = await V2Server.start(echo(), { grpc });
  const session = connectHttp2(`http://${server.grpcAddress}`);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/inference.GRPCInferenceService/SystemSharedMemoryStatus',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.end(Buffer.alloc(5));
  const [headers] = (await once(stream, 'response')) as [Record<string, string>];
  session.close();
  expect(headers[constants.HTTP2_HEADER_STATUS]).toBe(200);
  expect(Number(headers['grpc-status'])).toBe(status.UNIMPLEMENTED);
});

test('the model server loads the gRPC library only if it is configured', () => {
  const entry = new URL('../../../src/hosts/model-server.ts', import.meta.url);
  const codec = new URL('../../../src/hosts/tensor-codec.ts', import.meta.url);
  const packages = [...importedPackages(entry), ...importedPackages(codec)];
  expect(packages.filter((name) => name.startsWith('@grpc/'))).toEqual([]);
  expect(packages).toContain('fastify');
});

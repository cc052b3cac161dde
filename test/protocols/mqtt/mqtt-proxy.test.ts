import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { MqttConnectionOptions } from '../../../src/protocols/mqtt/mqtt-client-options.ts';
import { MqttConnection, type MqttState } from '../../../src/protocols/mqtt/mqtt-connection.ts';
import { TestCertificates } from '../../support/broker-certificates.ts';
import { brokerOptions } from '../../support/broker-options.ts';
import { Recorder } from '../../support/broker-recorder.ts';
import { WebSocketBroker } from '../../support/broker-websocket.ts';
import { HttpProxy } from '../../support/http-proxy.ts';
import { describeWith } from '../../support/programs.ts';
import { testDeps } from '../../support/test-deps.ts';

/*
 * MQTT over WebSocket through a proxy. The names of the brokers exist in the proxy only.
 */
let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
  for (const name of ['http_proxy', 'https_proxy', 'no_proxy']) vi.stubEnv(name, undefined);
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']) vi.stubEnv(name, '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await stack.disposeAsync();
});

function connect(url: string, options: Partial<MqttConnectionOptions> = {}) {
  const connection = stack.use(new MqttConnection(brokerOptions(url, { protocolVersion: 4, ...options }), testDeps()));
  const states = new Recorder<MqttState>();
  const messages = new Recorder<string>();
  connection.onState(states.push);
  connection.subscribe(['a'], (_topic, payload) => messages.push(payload.toString()));
  connection.start();
  return { connection, states, messages };
}

async function brokerWithProxy(tls?: { readonly cert: string; readonly key: string }) {
  const pem = tls && { cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
  const broker = stack.use(await WebSocketBroker.listen(pem));
  const hosts = { 'broker.example': broker.port, 'broker.example:80': broker.port, 'lake.example': broker.port };
  return { broker, proxy: stack.use(await new HttpProxy(hosts).listen()) };
}

test('ws:// goes through HTTP_PROXY as a tunnel', async () => {
  const { proxy } = await brokerWithProxy();
  vi.stubEnv('HTTP_PROXY', proxy.url.replace('//', '//box:secret%21@'));
  const { connection, states, messages } = connect('ws://broker.example/mqtt');
  await states.when(({ subscribed }) => subscribed);
  await connection.publish('a', 'through', { qos: 1, retain: false, timeoutMs: 10_000 });
  await messages.when((text) => text === 'through');
  const authorization = `Basic ${Buffer.from('box:secret!').toString('base64')}`;
  expect(proxy.requests).toEqual([{ line: 'CONNECT broker.example:80', authorization }]);
});

test.each([
  ['NO_PROXY', 'ws://127.0.0.1', '.example,127.0.0.1'],
  ['loopback, always', 'ws://localhost', ''],
])('is direct: %s', async (_title, origin, noProxy) => {
  const { broker, proxy } = await brokerWithProxy();
  vi.stubEnv('HTTP_PROXY', proxy.url);
  vi.stubEnv('NO_PROXY', noProxy);
  const { states } = connect(`${origin}:${broker.port}/mqtt`);
  await states.when(({ subscribed }) => subscribed);
  expect(proxy.requests).toEqual([]);
});

test('a proxy that refuses is named as the reason, and the next attempt succeeds', async () => {
  const { proxy } = await brokerWithProxy();
  vi.stubEnv('HTTP_PROXY', proxy.url);
  proxy.fault = { type: 'status', status: 403 };
  const { states } = connect('ws://broker.example/mqtt');
  const { reason } = await states.when(({ connected }) => !connected);
  expect(reason).toContain('403');
  proxy.fault = undefined;
  await states.when(({ subscribed }) => subscribed);
});

test('a proxy that does not answer keeps no connection after the deadline', async () => {
  const { proxy } = await brokerWithProxy();
  vi.stubEnv('HTTP_PROXY', proxy.url);
  proxy.fault = { type: 'hang' };
  const { states } = connect('ws://broker.example/mqtt', {
    connectTimeoutMs: 200,
    reconnectMinMs: 60_000,
    reconnectMaxMs: 60_000,
  });
  await states.when(({ connected }) => !connected);
  await expect.poll(() => proxy.connections).toBe(0);
});

describeWith(['openssl'], 'wss://', () => {
  test('goes through HTTPS_PROXY, and the certificate of the broker is verified with its authority', async () => {
    await using certificates = TestCertificates.make();
    const { proxy } = await brokerWithProxy(certificates.server);
    vi.stubEnv('HTTPS_PROXY', proxy.url);
    vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:1');
    const tls = { ca: certificates.ca, cert: undefined, key: undefined };
    await connect('wss://lake.example/mqtt', { tls }).states.when(({ subscribed }) => subscribed);
    expect(proxy.requests.map(({ line }) => line)).toEqual(['CONNECT lake.example:443']);
    const stranger = await connect('wss://lake.example/mqtt').states.when(({ connected }) => !connected);
    expect(stranger.reason).toMatch(/certificate|self-signed/);
  });
});

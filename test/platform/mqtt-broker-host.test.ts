import { fork } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { MqttConnection } from '../../src/protocols/mqtt/mqtt-connection.ts';
import { brokerOptions } from '../support/broker-options.ts';
import { testDeps } from '../support/test-deps.ts';

test('the broker process reports its address, serves, and ends with its parent', async () => {
  const child = fork(new URL('../../src/hosts/broker.ts', import.meta.url), ['0']);
  const [message] = (await once(child, 'message')) as [{ readonly type: string; readonly port: number }];
  expect(message.type).toBe('listening');

  const connection = new MqttConnection(brokerOptions(`mqtt://127.0.0.1:${message.port}`), testDeps());
  const connected = new Promise<void>((resolve) => {
    connection.onState((state) => {
      if (state.connected) resolve();
    });
  });
  connection.start();
  await connected;
  await connection.publish('a', '1', { qos: 1, retain: false, timeoutMs: 10_000 });

  // When the parent dies, the channel closes. An open client must not keep the process alive.
  const exited = once(child, 'exit');
  child.disconnect();
  const [code] = await exited;
  expect(code).toBe(0);
  await connection[Symbol.asyncDispose]();
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';

/** Listens with a backlog of 1 and prints its port; stopped by a signal, it leaves connections hanging. */
const listener =
  "const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))";

test('a device that neither accepts nor refuses a connection is given up after connectTimeout', async () => {
  const child = spawn(process.execPath, ['-e', listener], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line]: unknown[] = await once(child.stdout, 'data');
  const port = Number(String(line));
  child.kill('SIGSTOP');
  const fillers = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  await Promise.race(fillers.map((filler) => once(filler, 'connect')));

  await using plc = ModbusSourceFixture.start({
    url: `tcp://127.0.0.1:${port}`,
    connectTimeout: '300ms',
    tags: { speed: { register: 'holding', address: 0, type: 'int16' } },
  });
  const scan = await plc.sink.next();
  for (const filler of fillers) filler.destroy();
  child.kill('SIGKILL');
  expect(plc.show(scan)).toEqual({ speed: 'bad link-down' });
  expect(plc.health.reason).toBe(`127.0.0.1:${port} did not accept a connection within 300 ms`);
});

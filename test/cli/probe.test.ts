import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ModbusRawServer } from '../support/modbus-raw-server.ts';
import { andon, startAndon } from './run-andon.ts';

async function device(): Promise<ModbusRawServer> {
  const server = await ModbusRawServer.listen();
  onTestFinished(async () => server[Symbol.asyncDispose]());
  server.registers.set([0, 0x422a, 7], 100);
  server.bits[5] = 1;
  return server;
}

describe('andon probe', () => {
  test('shows what an expected value fits first, and never writes', async () => {
    const plc = await device();
    const { code, stdout } = await andon('probe', plc.url, '--unit', '3', '--holding', '100-102', '--expect', '42.5');
    expect(code).toBe(0);
    expect(stdout.split('\n')[1]).toMatch(/^ *100 +float32 +CDAB +1 +42\.5 +0\.00 %$/);
    expect(stdout).toMatch(/^ *101 +16938 +16938 +422a /m);
    expect(plc.requests).toMatchObject([{ unitId: 3, functionCode: 3, address: 100, count: 3 }]);
    expect(plc.otherFunctionCodes).toEqual([]);
  });

  test('writes the best fit as a tag, and others that fit as comments', async () => {
    const plc = await device();
    const args = ['probe', plc.url, '--input', '100-102', '--expect', '42.5', '--write-config'];
    expect((await andon(...args)).stdout).toBe(
      'tags:\n  input-100: { register: input, address: 100, type: float32, byteOrder: CDAB }\n' +
        '  # or: input-101: { register: input, address: 101, type: float32, byteOrder: ABCD }\n' +
        '  # or: input-101: { register: input, address: 101, type: int8, byteOrder: ABCD }\n' +
        '  # or: input-101: { register: input, address: 101, type: uint8, byteOrder: ABCD }\n',
    );
  });

  test('reads a long block in several requests and gives one document', async () => {
    const plc = await device();
    const { stdout } = await andon('probe', plc.url, '--holding', '0-299', '--json');
    const document = JSON.parse(stdout) as { registers: readonly { uint16: number }[] };
    expect(document.registers.map(({ uint16 }) => uint16)).toEqual([...plc.registers.subarray(0, 300)]);
    expect(plc.requests.map(({ address, count }) => [address, count])).toEqual([
      [0, 125],
      [125, 125],
      [250, 50],
    ]);
  });

  test('reads bits', async () => {
    const plc = await device();
    const { stdout } = await andon('probe', plc.url, '--coils', '4-5', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'coil',
      bits: [
        { address: 4, value: false },
        { address: 5, value: true },
      ],
    });
    expect(plc.requests).toMatchObject([{ functionCode: 1, address: 4, count: 2 }]);
  });

  test('marks what changed while it watches, and ends well on Ctrl-C', async () => {
    const plc = await device();
    const child = startAndon('probe', plc.url, '--holding', '102', '--watch');
    let shown = '';
    child.stdout.setEncoding('utf8');
    for await (const text of child.stdout as AsyncIterable<string>) {
      shown += text;
      if (shown.includes('*')) break;
      plc.registers[102] = 8;
    }
    expect(shown).toMatch(/^ *102 +8 +8 +0008 .*\*$/m);
    const ended = startAndon('probe', plc.url, '--holding', '102', '--watch');
    const exit = once(ended, 'exit');
    await once(ended.stdout, 'data');
    ended.kill('SIGINT');
    expect(await exit).toEqual([0, null]);
  });

  test('names a refusal and the address to try', async () => {
    const plc = await device();
    plc.faults.exception = () => 2;
    const { code, stderr } = await andon('probe', plc.url, '--holding', '40001');
    expect(code).toBe(1);
    expect(stderr).toMatch(/exception 2 \(illegal data address\); a manual's 40001 is address 0.*\(modbus-refused\)/);
  });

  test('says that a unit is silent, and that nobody is there', async () => {
    const plc = await device();
    plc.faults.silent = true;
    const silent = await andon('probe', plc.url, '--holding', '0');
    expect([silent.code, silent.stderr]).toEqual([1, expect.stringContaining('modbus-timeout')]);
    const nobody = await andon('probe', 'tcp://127.0.0.1:1', '--holding', '0');
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining('modbus-connect-failed')]);
  });

  test.each([
    ['tcp://127.0.0.1:1'],
    ['tcp://127.0.0.1:1', '--holding', '0', '--input', '0'],
    ['tcp://127.0.0.1:1', '--holding', '9-0'],
    ['tcp://127.0.0.1:1', '--holding', '0-1000'],
    ['tcp://127.0.0.1:1', '--holding', '0', '--unit', '256'],
    ['tcp://127.0.0.1:1', '--coils', '0', '--expect', '1'],
    ['serial:///dev/ttyS0?parity=some', '--holding', '0'],
  ])('refuses %s %s %s %s %s as wrong usage', async (...args) => {
    expect((await andon('probe', ...args)).code).toBe(64);
  });
});

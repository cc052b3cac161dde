import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { modbusKind } from '../../src/sources/modbus/modbus-kind.ts';
import { ModbusRawServer } from '../support/modbus-raw-server.ts';
import { describeWith } from '../support/programs.ts';
import { SerialLine } from '../support/serial-line.ts';
import { andon, startAndon } from './run-andon.ts';

async function device(framing: 'mbap' | 'rtu' = 'mbap'): Promise<ModbusRawServer> {
  const server = await ModbusRawServer.listen(0, framing);
  onTestFinished(async () => server[Symbol.asyncDispose]());
  server.registers.set([0, 0x422a, 7], 100);
  server.bits[5] = 1;
  return server;
}

describe('andon probe', () => {
  test('--in-flight finds how many requests a device answers together', async () => {
    const plc = await device();
    const { code, stdout } = await andon('probe', plc.url, '--holding', '100-102', '--in-flight', '--json');
    expect(code).toBe(0);
    const { trials, requestsInFlight } = JSON.parse(stdout);
    expect(trials).toMatchObject([1, 2, 4, 8, 16].map((inFlight) => ({ inFlight })));
    expect(requestsInFlight).toBeGreaterThanOrEqual(1);
    expect(plc.requestsTogether).toBe(16);
    plc.faults.onlyFirstOfSegment = true;
    const poor = await andon('probe', plc.url, '--holding', '100-102', '--in-flight');
    expect(poor.stdout).toMatch(/ 2 in flight: not answered completely: .* did not answer 1 of 2 requests/);
    expect(poor.stdout).toContain('requestsInFlight: 1');
  });

  test('shows what an expected value fits first, and never writes', async () => {
    const plc = await device();
    const { code, stdout } = await andon('probe', plc.url, '--unit', '3', '--holding', '100-102', '--expect', '42.5');
    expect(code).toBe(0);
    expect(stdout.split('\n')[1]).toMatch(/^ *100 +float32 +CDAB +1 +42\.5 +0\.00 %$/);
    expect(stdout).toMatch(/^ *101 +16938 +16938 +422a /m);
    const request = { unitId: 3, functionCode: 3, address: 100, count: 3 };
    expect(plc.requests).toMatchObject([request, request, request]);
    expect(plc.otherFunctionCodes).toEqual([]);
  });

  test('shows every type in every byte order side by side with --all', async () => {
    const plc = await device();
    plc.registers.set([0x1234, 0x5678, 0x9abc, 0x3c00], 200);
    const { stdout } = await andon('probe', plc.url, '--holding', '200-203', '--all');
    const lines = stdout.split('\n').map((line) => line.trim().split(/ +/));
    const header = lines.find(([first, second]) => first === 'address' && second === 'order') ?? [];
    expect(header).toEqual(
      'address order int8 uint8 int16 uint16 float16 bcd16 int32 uint32 bcd32 int64 uint64 float64'.split(' '),
    );
    const rows = lines.filter(([first, second]) => first === '200' && /^[A-H]{4,8}$/.test(second ?? ''));
    const shown = new Map(rows.map((row) => [row[1], row]));
    expect([...shown.keys()]).toEqual('ABCD CDAB BADC DCBA EFGHABCD CDABGHEF FEHGBADC DCBAHGFE'.split(' '));
    expect(shown.get('ABCD')?.slice(2, 11)).toEqual([
      '52',
      '52',
      '4660',
      '4660',
      '0.000757217',
      '1234',
      '305419896',
      '305419896',
      '12345678',
    ]);
    expect(shown.get('BADC')?.slice(2, 6)).toEqual(['18', '18', '13330', '13330']);
    // One half of the 64 bits has changed places with the other; for a shorter type this means nothing.
    expect(shown.get('EFGHABCD')?.[2]).toBe(shortOf(-0x65_43_c3_ff_ed_cb_a9_88n));
    expect(stdout).toMatch(/^ *203 +ABCD +0 +0 +15360 +15360 +1 +/m);
  });

  test('writes the best fit as a tag, and others that fit as comments', async () => {
    const plc = await device();
    const args = ['probe', plc.url, '--input', '100-102', '--expect', '42.5', '--write-config'];
    expect((await andon(...args)).stdout).toBe(
      'tags:\n  input-100: { register: input, address: 100, type: float32, byteOrder: CDAB }\n' +
        '  # or: input-101: { register: input, address: 101, type: float32, byteOrder: ABCD }\n',
    );
  });

  test('shows the nearest interpretations if one alone would mislead', async () => {
    const plc = await device();
    plc.registers.set([2304, 4711], 300);
    const { stdout } = await andon('probe', plc.url, '--holding', '300-301', '--expect', '230.4');
    const lines = stdout.split('\n').slice(1, 4);
    expect(lines[0]).toMatch(/^ *300 +uint16 +ABCD +0\.1 +230\.4 +0\.00 %$/);
    expect(lines.every((line) => line.endsWith('%'))).toBe(true);
  });

  test('writes each register once with its likely type, and no half of a float', async () => {
    const plc = await device();
    plc.registers.set([0x4366, 0x6666, 0x4248, 0, 0x8000], 400);
    const { stdout } = await andon('probe', plc.url, '--holding', '400-404', '--write-config');
    expect(parse(stdout)).toEqual({
      tags: {
        'holding-400': { register: 'holding', address: 400, type: 'float32', byteOrder: 'ABCD' },
        'holding-402': { register: 'holding', address: 402, type: 'float32', byteOrder: 'ABCD' },
        'holding-404': { register: 'holding', address: 404, type: 'int16' },
      },
    });
    expect(stdout).toContain('# -32768: raw 0x8000 usually means "not available", set invalid');
  });

  test('names registers that hold a code for "not available", and the key', async () => {
    const plc = await device();
    plc.registers.set([0xffff, 0x8000, 5], 500);
    const { stdout } = await andon('probe', plc.url, '--holding', '500-502');
    expect(stdout).toMatch(/Usually "not available": 500 \(0xFFFF\), 501 \(0x8000\)\. Set invalid: sunspec/);
  });

  test('prints only what changed while it watches', async () => {
    const plc = await device();
    const child = startAndon('probe', plc.url, '--holding', '100-160', '--watch');
    onTestFinished(() => void child.kill('SIGKILL'));
    child.stdout.setEncoding('utf8');
    let watched = '';
    let firstTable = 0;
    for await (const text of child.stdout as AsyncIterable<string>) {
      watched += text;
      if (firstTable === 0) firstTable = watched.length;
      if (watched.includes('*')) break;
      plc.registers[130] = 8;
    }
    const changes = watched.slice(firstTable).trim().split('\n');
    expect(changes).toHaveLength(3);
    expect(changes[2]).toMatch(/^ *130 +8 +8 +0008 .*\*$/);
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

  test('ends well on Ctrl-C while it watches', async () => {
    const plc = await device();
    const child = startAndon('probe', plc.url, '--holding', '102', '--watch');
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    expect(await exit).toEqual([0, null]);
  });

  test('names a refusal and the address to try', async () => {
    const plc = await device();
    plc.faults.exception = () => 2;
    const { code, stderr } = await andon('probe', plc.url, '--holding', '40001');
    expect(code).toBe(1);
    expect(stderr).toMatch(/exception 2 \(illegal data address\); a manual's 40001 is address 0.*\(modbus-refused\)/);
  });

  test('reports a silent unit, and an address without a device', async () => {
    const plc = await device();
    plc.faults.silent = true;
    const silent = await andon('probe', plc.url, '--holding', '0');
    expect([silent.code, silent.stderr]).toEqual([1, expect.stringContaining('modbus-timeout')]);
    const absent = await andon('probe', 'tcp://127.0.0.1:1', '--holding', '0');
    expect([absent.code, absent.stderr]).toEqual([1, expect.stringContaining('modbus-connect-failed')]);
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

/** As the probe shows a number beyond 2^53. */
function shortOf(value: bigint): string {
  return Number(value).toPrecision(6);
}

/** Everything that a person does with a probe, on one kind of link. @returns The function codes that the device saw. */
async function functionCodesOfProbing(plc: ModbusRawServer, url: string): Promise<ReadonlySet<number>> {
  const shown = await andon('probe', url, '--unit', '3', '--holding', '100-102', '--expect', '42.5');
  expect(shown.stderr).toBe('');
  expect(shown.stdout.split('\n')[1]).toMatch(/^ *100 +float32 +CDAB +1 +42\.5 +0\.00 %$/);

  const written = await andon('probe', url, '--input', '100-102', '--expect', '42.5', '--write-config');
  expect(written.stdout).toMatch(
    /^tags:\n {2}input-100: \{ register: input, address: 100, type: float32, byteOrder: CDAB \}\n/,
  );
  // What it prints is what a source takes.
  const source = { type: 'modbus', url, ...(parse(written.stdout) as object) };
  expect(modbusKind.schema.parse(source).tags).toMatchObject({ 'input-100': { address: 100, byteOrder: 'CDAB' } });

  const child = startAndon('probe', url, '--holding', '102', '--watch');
  let watched = '';
  child.stdout.setEncoding('utf8');
  for await (const text of child.stdout as AsyncIterable<string>) {
    watched += text;
    if (watched.includes('*')) break;
    plc.registers[102] = 8;
  }
  expect(watched).toMatch(/^ *102 +8 +8 +0008 .*\*$/m);
  child.kill('SIGKILL');
  return new Set(plc.requests.map(({ functionCode }) => functionCode));
}

describe.each(['mbap', 'rtu'] as const)('andon probe over TCP, framing %s', (framing) => {
  test('ranks what fits, writes a section that a source takes, and marks what changes', async () => {
    const plc = await device(framing);
    expect(await functionCodesOfProbing(plc, plc.url)).toEqual(new Set([3, 4]));
  });
});

describeWith(['socat'], 'andon probe on a serial line', () => {
  test('ranks what fits, writes a section that a source takes, and marks what changes', async () => {
    const plc = await device('rtu');
    await using line = await SerialLine.plugIn(plc.port);
    expect(await functionCodesOfProbing(plc, line.url)).toEqual(new Set([3, 4]));
  });

  test('names a port that is not there', async () => {
    const { code, stderr } = await andon('probe', 'serial:///dev/ttyNOWHERE', '--holding', '0');
    expect([code, stderr]).toEqual([1, expect.stringContaining('/dev/ttyNOWHERE could not be reached')]);
  });
});

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ModbusRawServer, noFaults, touches } from '../../support/modbus-raw-server.ts';
import { type ModbusConfigInput, ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';
import { metricValue } from '../../support/test-deps.ts';

const quick = { scanInterval: '20ms', timeout: '150ms', reconnect: { first: '10ms', max: '40ms' } };
const pressure = { register: 'holding', address: 0, type: 'float32', unit: 'bar' } as const;
const speed = { register: 'holding', address: 2, type: 'int16', scale: 0.1, offset: -10 } as const;
const running = { register: 'discrete', address: 3, type: 'bool' } as const;
const tags = { pressure, speed, running };
const allGood = { pressure: 2.5, speed: 20, running: 1 };

let device: ModbusRawServer;

beforeEach(async () => {
  device = await ModbusRawServer.listen();
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(2.5);
  device.registers.set([bytes.readUInt16BE(0), bytes.readUInt16BE(2), 300]);
  device.bits[3] = 1;
});

afterEach(async () => {
  await device[Symbol.asyncDispose]();
});

function start(more: Partial<ModbusConfigInput> = {}): ModbusSourceFixture {
  return ModbusSourceFixture.start({ ...quick, url: more.url ?? device.url, tags, ...more });
}

/** Int16 tags `r0`, `r1`, … one register each. */
function row(count: number): ModbusConfigInput['tags'] {
  return Object.fromEntries(
    Array.from(
      { length: count },
      (_, address) => [`r${address}`, { register: 'holding', address, type: 'int16' }] as const,
    ),
  );
}

describe('a device that works', () => {
  test('every scan holds every tag, scaled, with the time it was read', async () => {
    await using plc = start();
    const before = plc.deps.clock.nowMs();
    const scan = await plc.sink.next();
    expect(plc.show(scan)).toEqual(allGood);
    for (const { timeMs } of scan.values()) {
      expect(timeMs).toBeGreaterThanOrEqual(before);
      expect(timeMs).toBeLessThanOrEqual(plc.deps.clock.nowMs());
    }
    expect(plc.health.status).toBe('ok');
  });

  test('neighbours are joined into one read a function code', async () => {
    await using plc = start();
    await plc.sink.next();
    expect(device.requests.slice(0, 2)).toMatchObject([
      { functionCode: 2, address: 3, count: 1 },
      { functionCode: 3, address: 0, count: 3 },
    ]);
  });

  test('tags with an interval of their own are scanned at their own rate', async () => {
    await using plc = start({ tags: { pressure, speed: { ...speed, scanInterval: '10s' } } });
    for (let scans = 0; scans < 4; scans += 1) await plc.shows({ pressure: 2.5 });
    const slow = plc.sink.scans.filter((scan) => scan.has(plc.number('speed')));
    expect(slow).toHaveLength(1);
    expect([...(slow[0]?.keys() ?? [])]).toEqual([plc.number('speed')]);
  });

  test('a scan interval of 0s scans without a pause', async () => {
    await using plc = start({ scanInterval: '0s' });
    for (let scans = 0; scans < 50; scans += 1) await plc.sink.next();
    expect(plc.health.status).toBe('ok');
  });

  test('its scans, requests, durations and connections are counted', async () => {
    await using plc = start();
    await plc.sink.next();
    await plc.sink.next();
    expect(await metricValue(plc.deps, 'andon_modbus_scans_total{source="plc"}')).toBeGreaterThanOrEqual(2);
    expect(await metricValue(plc.deps, 'andon_modbus_requests_total{source="plc"}')).toBeGreaterThanOrEqual(4);
    expect(
      await metricValue(plc.deps, 'andon_modbus_request_duration_seconds_count{source="plc"}'),
    ).toBeGreaterThanOrEqual(4);
    expect(await metricValue(plc.deps, 'andon_modbus_connected{source="plc"}')).toBe(1);
  });

  test('an answer that comes byte by byte is put together', async () => {
    device.faults.byteByByte = true;
    await using plc = start();
    expect(plc.show(await plc.sink.next())).toEqual(allGood);
  });
});

describe('values that cannot be passed on as good', () => {
  test('a float NaN is bad', async () => {
    device.registers.set([0x7fc0, 0]);
    await using plc = start();
    expect(plc.show(await plc.sink.next())).toEqual({ ...allGood, pressure: 'bad not-finite' });
  });

  test('a 64-bit counter beyond 2^53 is uncertain', async () => {
    device.registers.set([0x0020, 0, 0, 1]);
    await using plc = start({ tags: { total: { register: 'holding', address: 0, type: 'uint64' } } });
    expect(plc.show(await plc.sink.next())).toEqual({ total: 'uncertain precision-lost' });
  });
});

describe('an absent device', () => {
  test('at start is degraded, and read as soon as it is there', async () => {
    const { port } = device;
    await device[Symbol.asyncDispose]();
    await using plc = start({ url: `tcp://127.0.0.1:${port}` });
    const scan = await plc.sink.next();
    expect(plc.show(scan)).toEqual({ pressure: 'bad link-down', speed: 'bad link-down', running: 'bad link-down' });
    expect(plc.health.status).toBe('degraded');
    expect(plc.health.reason).toContain(`127.0.0.1:${port} could not be reached: connect ECONNREFUSED`);
    device = await ModbusRawServer.listen(port);
    await plc.shows({ speed: -10 });
    expect(plc.health).toEqual({ status: 'ok', reason: '' });
  });

  test('that returns is read again automatically', async () => {
    await using plc = start();
    await plc.shows(allGood);
    device.dropConnections();
    await plc.shows(allGood);
    expect(await metricValue(plc.deps, 'andon_modbus_reconnects_total{source="plc"}')).toBeGreaterThanOrEqual(1);
  });

  test('that resets every connection is degraded, retried with growing waits, and read once it stops', async () => {
    device.faults.resetOnConnect = true;
    await using plc = start();
    await plc.shows({ pressure: 'bad link-down' });
    await expect.poll(() => plc.health.status).toBe('degraded');
    device.faults.resetOnConnect = false;
    await plc.shows(allGood);
    expect(device.connections).toBeLessThan(200);
  });

  test('that accepts connections but sends nothing is a timeout, and is then retried with growing waits', async () => {
    device.faults.silent = true;
    await using plc = start();
    await plc.shows({ running: 'bad timeout' });
    await plc.shows({ pressure: 'bad unit-set-aside', running: 'bad unit-set-aside' });
    expect(plc.health.status).toBe('degraded');
    expect(plc.health.reason).toContain('unit 1 does not answer and is retried with growing waits: ');
    device.faults.silent = false;
    await plc.shows(allGood);
    expect(plc.health.status).toBe('ok');
  });
});

describe('an answer that is late', () => {
  test('is never taken for the answer to a later read', async () => {
    // Each answer holds the address asked for; a shifted answer would show another tag's address.
    for (let address = 0; address < 1000; address += 1) device.registers[address] = address;
    const spread = Object.fromEntries(
      [0, 200, 400, 600].map((address) => [`at-${address}`, { register: 'holding', address, type: 'uint16' }] as const),
    );
    let asked = 0;
    device.faults.delayMs = () => ((asked += 1) % 5 === 0 ? 80 : 0);
    await using plc = start({ tags: spread, timeout: '40ms', scanInterval: '5ms' });
    await expect.poll(() => plc.sink.scans.length).toBeGreaterThan(40);
    const shown = plc.sink.scans.map((scan) => plc.show(scan));
    const wrong = shown.flatMap((scan) =>
      Object.entries(scan).filter(([name, value]) => typeof value === 'number' && name !== `at-${value}`),
    );
    expect(wrong).toEqual([]);
    expect(
      await metricValue(plc.deps, 'andon_modbus_request_errors_total{source="plc",code="modbus-timeout"}'),
    ).toBeGreaterThan(0);
  });
});

describe('an answer that is garbled', () => {
  test.each([
    ['another transaction', 'id', (answer: Buffer) => answer.fill(answer.readUInt8(1) ^ 1, 1, 2)],
    ['another protocol', 'id', (answer: Buffer) => answer.fill(1, 3, 4)],
    [
      'another unit',
      'a wrong unit id: expected 1, found 9; received 15 bytes: 00',
      (answer: Buffer) => answer.fill(9, 6, 7),
    ],
    ['another function', 'a wrong function code: expected 3, found 4', (answer: Buffer) => answer.fill(4, 7, 8)],
    ['a lying byte count', 'a wrong byte count: expected 6, found 2', (answer: Buffer) => answer.fill(2, 8, 9)],
    ['a lying length', 'length', (answer: Buffer) => answer.fill(7, 5, 6)],
    ['an extra byte', 'bytes after the frame', (answer: Buffer) => Buffer.concat([answer, Buffer.of(0)])],
    ['garbage before it', 'id', (answer: Buffer) => Buffer.concat([Buffer.of(1, 2, 3), answer])],
  ])('with %s is bad, reported, repeated, and read again once it is valid', async (_, told, mutate) => {
    device.faults.mutate = (answer, { functionCode }) => (functionCode === 3 ? [mutate(answer)] : undefined);
    await using plc = start();
    const scan = await plc.sink.next();
    expect(plc.show(scan)).toEqual({ pressure: 'bad garbled-answer', speed: 'bad garbled-answer', running: 1 });
    expect(plc.health.status).toBe('degraded');
    expect(plc.health.reason).toContain(told);
    device.faults = noFaults();
    await plc.shows(allGood);
    await expect.poll(() => plc.health.status).toBe('ok');
  });

  test('once is repeated within the scan, which then is whole', async () => {
    let spoilt = 0;
    device.faults.mutate = (answer) => ((spoilt += 1) === 1 ? [answer.subarray(0, 6), Buffer.of(99)] : undefined);
    await using plc = start();
    expect(plc.show(await plc.sink.next())).toEqual(allGood);
  });

  test('because it is cut short is a timeout', async () => {
    device.faults.mutate = (answer, { functionCode }) => (functionCode === 3 ? [answer.subarray(0, -1)] : undefined);
    await using plc = start();
    expect(plc.show(await plc.sink.next())).toMatchObject({ pressure: 'bad timeout', running: 1 });
  });

  test('or comes unasked between two reads ends the connection, and costs no scan', async () => {
    await using plc = start({ scanInterval: '60ms' });
    await plc.shows(allGood);
    const before = device.connections;
    device.sendUnasked(Buffer.of(1, 2, 3));
    await expect.poll(() => device.connections).toBe(before + 1);
    expect(plc.show(await plc.sink.next())).toEqual(allGood);
  });
});

describe('a device that refuses', () => {
  const refusing = (addresses: readonly number[], code = 2) => {
    device.faults.exception = (request) => (addresses.some((address) => touches(request, address)) ? code : 0);
  };

  test.each([2, 3, 4, 7, 8, 99])(
    'one register of a joined read with exception %i loses only that tag',
    async (code) => {
      device.registers.fill(7);
      refusing([61], code);
      await using plc = start({ tags: row(100) });
      const scan = await plc.shows({ r0: 7, r60: 7, r61: 'bad refused', r62: 7, r99: 7 });
      expect(Object.values(plc.show(scan)).filter((value) => value === 7)).toHaveLength(99);
      expect(plc.health.status).toBe('degraded');
      expect(plc.health.reason).toMatch(/^r61 disabled: unit 1 refused function 3, 1 from 61: exception/);
      expect(await metricValue(plc.deps, 'andon_modbus_tags_set_aside{source="plc"}')).toBe(1);
    },
  );

  test('a register is not read with every scan, and the rest is joined into the fewest reads', async () => {
    refusing([61]);
    await using plc = start({ tags: row(100) });
    await plc.shows({ r61: 'bad refused', r62: 0 });
    await plc.sink.next();
    const from = device.requests.length;
    await plc.sink.next();
    expect(device.requests.slice(from).map(({ address, count }) => [address, count])).toEqual([
      [0, 61],
      [62, 38],
    ]);
  });

  test('a gap between tags loses no tag, and is left out from then on', async () => {
    refusing([5]);
    const at = (address: number) => ({ ...speed, address, scale: 1, offset: 0 });
    await using plc = start({ tags: { a: at(10), b: at(0) } });
    device.registers.fill(7);
    await plc.shows({ a: 7, b: 7 });
    const from = device.requests.length;
    await plc.sink.next();
    expect(device.requests.slice(from).map(({ address, count }) => [address, count])).toEqual([
      [0, 1],
      [10, 1],
    ]);
    expect(plc.health.status).toBe('ok');
  });

  test('many registers is read with a bounded number of requests a scan', async () => {
    refusing(Array.from({ length: 50 }, (_, index) => index * 2));
    await using plc = start({ tags: row(100) });
    await vi.waitFor(
      async () => expect(await metricValue(plc.deps, 'andon_modbus_tags_set_aside{source="plc"}')).toBe(50),
      {
        timeout: 60_000,
      },
    );
    const scan = plc.show(await plc.sink.next());
    expect(Object.entries(scan).filter(([, value]) => value === 'bad refused')).toHaveLength(50);
    expect(Object.entries(scan).filter(([, value]) => typeof value === 'number')).toHaveLength(50);
  });

  test('more registers than it can give in one answer is read in smaller pieces', async () => {
    device.registers.fill(7);
    device.faults.maxRegisters = 30;
    await using plc = start({ tags: row(100) });
    const scan = await plc.shows({ r0: 7, r50: 7, r99: 7 });
    expect(Object.values(plc.show(scan)).filter((value) => value === 7)).toHaveLength(100);
    expect(plc.health.status).toBe('ok');
  });

  test('because it is busy is read with the next scan, no tag is disabled', async () => {
    let busy = true;
    device.faults.exception = ({ functionCode }) => (busy && functionCode === 3 ? 6 : 0);
    await using plc = start();
    await plc.shows({ pressure: 'bad refused', running: 1 });
    busy = false;
    await plc.shows(allGood);
    expect(await metricValue(plc.deps, 'andon_modbus_tags_set_aside{source="plc"}')).toBe(0);
  });

  test('a function code is retried with growing waits', async () => {
    device.faults.exception = ({ functionCode }) => (functionCode === 2 ? 1 : 0);
    await using plc = start();
    await plc.shows({ pressure: 2.5, running: 'bad refused' });
    await plc.sink.next();
    expect(device.requests.filter(({ functionCode }) => functionCode === 2)).toHaveLength(1);
  });

  test.each([10, 11])(
    'as a gateway does for an absent unit, with exception %i, is a unit that does not answer',
    async (code) => {
      device.faults.exception = () => code;
      await using plc = start();
      await plc.shows({ pressure: 'bad unit-set-aside' });
      expect(plc.health.reason).toContain('unit 1 does not answer and is retried with growing waits: ');
      device.faults.exception = undefined;
      await plc.shows(allGood);
    },
  );
});

describe('a device that keeps silent about one register', () => {
  test('loses only that tag in the end', async () => {
    device.registers.fill(7);
    device.faults.mutate = (_, request) => (touches(request, 301) ? [] : undefined);
    await using plc = start({
      timeout: '30ms',
      retries: 0,
      tags: {
        a: { ...speed, address: 0, scale: 1, offset: 0 },
        b: { ...speed, address: 300, scale: 1, offset: 0 },
        c: { ...speed, address: 301, scale: 1, offset: 0 },
      },
    });
    await plc.shows({ a: 7, b: 7, c: 'bad timeout' });
    await expect.poll(() => plc.health.reason).toContain('c disabled');
    expect(plc.show(await plc.sink.next())).toEqual({ a: 7, b: 7, c: 'bad timeout' });
  });
});

describe('a source that is ended', () => {
  test('delivers nothing more, and leaves no connection', async () => {
    const plc = start();
    await plc.sink.next();
    await plc[Symbol.asyncDispose]();
    const scans = plc.sink.scans.length;
    await plc[Symbol.asyncDispose]();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(plc.sink.scans).toHaveLength(scans);
  });

  test('before its start has done no I/O', async () => {
    const plc = new ModbusSourceFixture({ ...quick, url: device.url, tags });
    await plc[Symbol.asyncDispose]();
    plc.source.start();
    expect(device.connections).toBe(0);
  });

  test('in the middle of a scan delivers nothing more', async () => {
    device.faults.delayMs = () => 50;
    const plc = start();
    await expect.poll(() => device.requests.length).toBeGreaterThan(0);
    await plc[Symbol.asyncDispose]();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(plc.sink.scans).toHaveLength(0);
  });
});

test('no request of any test but reads ever reached the device', async () => {
  device.faults.exception = (request) => (touches(request, 2) ? 2 : 0);
  await using plc = start();
  await plc.shows({ speed: 'bad refused' });
  expect(device.otherFunctionCodes).toEqual([]);
});

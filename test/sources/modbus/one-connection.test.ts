import { describe, expect, test } from 'vitest';
import { ModbusRawServer, noFaults } from '../../support/modbus-raw-server.ts';
import { ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';

const quick = { scanInterval: '20ms', timeout: '100ms', reconnect: { first: '10ms', max: '40ms' } };
const tags = { level: { register: 'holding', address: 4, type: 'uint16' } } as const;

describe('sources that name the same end', () => {
  test('share its only connection, with any spelling of its url', async () => {
    await using device = await ModbusRawServer.listen();
    device.registers[4] = 21;
    const deps = testDeps();
    await using first = ModbusSourceFixture.start({ ...quick, url: device.url, unitId: 1, tags }, deps, 'first');
    await using second = ModbusSourceFixture.start(
      { ...quick, url: `${device.url}/`, unitId: 2, tags },
      deps,
      'second',
    );
    await Promise.all([first.shows({ level: 21 }), second.shows({ level: 21 })]);
    expect(device.connections).toBe(1);
    expect(new Set(device.requests.map(({ unitId }) => unitId))).toEqual(new Set([1, 2]));
    expect(await metricValue(deps, 'andon_modbus_connected{source="first"}')).toBe(1);
    expect(await metricValue(deps, 'andon_modbus_connected{source="second"}')).toBe(1);
  });

  test('keep it when one of them ends, and let it go with the last', async () => {
    await using device = await ModbusRawServer.listen();
    const deps = testDeps();
    const first = ModbusSourceFixture.start({ ...quick, url: device.url, tags }, deps, 'first');
    const second = ModbusSourceFixture.start({ ...quick, url: device.url, unitId: 2, tags }, deps, 'second');
    await Promise.all([first.shows({ level: 0 }), second.shows({ level: 0 })]);
    await first[Symbol.asyncDispose]();
    const scans = first.sink.scans.length;
    await second.shows({ level: 0 });
    await second.shows({ level: 0 });
    expect(first.sink.scans).toHaveLength(scans);
    expect(device.connections).toBe(1);
    await second[Symbol.asyncDispose]();
    await expect.poll(() => device.openConnections).toBe(0);
  });

  test('wait for the device between two requests for as long as it needs', async () => {
    await using device = await ModbusRawServer.listen();
    const askedAtMs: number[] = [];
    device.faults.delayMs = () => {
      askedAtMs.push(performance.now());
      return 0;
    };
    const input = { ...quick, url: device.url, tags, scanInterval: '0s', pauseBetweenRequests: '30ms' };
    await using plc = ModbusSourceFixture.start(input);
    for (let scans = 0; scans < 8; scans += 1) await plc.shows({ level: 0 });
    const gapsMs = askedAtMs.slice(1).map((atMs, index) => atMs - (askedAtMs[index] ?? 0));
    expect(Math.min(...gapsMs)).toBeGreaterThan(28);
  });

  test('go on at their rate while a unit does not answer', async () => {
    await using device = await ModbusRawServer.listen();
    device.faults.silentUnits = new Set([2]);
    const deps = testDeps();
    const slow = { ...quick, timeout: '50ms', retries: 0 };
    await using living = ModbusSourceFixture.start({ ...slow, url: device.url, tags }, deps, 'living');
    await using dead = ModbusSourceFixture.start({ ...slow, url: device.url, unitId: 2, tags }, deps, 'dead');
    await dead.shows({ level: 'bad unit-set-aside' });
    const asked = () => device.requests.filter(({ unitId }) => unitId === 2).length;
    const before = asked();
    const fromMs = performance.now();
    for (let scans = 0; scans < 60; scans += 1) await living.sink.next();
    // A retry costs 50 ms of timeout and 10 ms to connect; the unit is retried after 25 times that, 1.5 s.
    expect(asked() - before).toBeLessThanOrEqual(Math.floor((performance.now() - fromMs) / 1500) + 1);
    const shown = living.sink.scans.slice(-60).map((scan) => living.show(scan).level);
    expect(new Set(shown)).toEqual(new Set([0]));
  });
});

describe('a serial server that passes RTU frames on', () => {
  test('is read, exceptions and all', async () => {
    await using device = await ModbusRawServer.listen(0, 'rtu');
    device.registers[4] = 99;
    device.faults.exception = ({ address }) => (address === 500 ? 2 : 0);
    const more = { ...tags, refused: { register: 'holding', address: 500, type: 'uint16' } } as const;
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url, tags: more });
    await plc.shows({ level: 99, refused: 'bad refused' });
    device.faults.byteByByte = true;
    await plc.shows({ level: 99 });
    expect(plc.health.reason).toContain('refused disabled');
  });

  test('delivers no response to a request from before the reload', async () => {
    await using device = await ModbusRawServer.listen(0, 'rtu');
    device.registers[4] = 1;
    device.answersLatestConnection = true;
    device.faults.delayMs = () => (device.requests.length === 1 ? 300 : 200);
    const deps = testDeps();
    const input = { ...quick, timeout: '500ms', url: device.url, tags };
    const before = ModbusSourceFixture.start(input, deps);
    await expect.poll(() => device.requests).toHaveLength(1);
    await before[Symbol.asyncDispose]();
    device.registers[4] = 2;
    await using after = ModbusSourceFixture.start(input, deps);
    await after.shows({ level: 2 });
    expect(new Set(after.sink.scans.map((scan) => after.show(scan).level))).toEqual(new Set([2]));
  });

  test('that is late passes no answer for another, not even on the next connection', async () => {
    await using device = await ModbusRawServer.listen(0, 'rtu');
    device.registers.forEach((_, address) => (device.registers[address] = address));
    const spread = Object.fromEntries(
      [1, 300, 600, 900].map((address) => [`at-${address}`, { register: 'holding', address, type: 'uint16' }] as const),
    );
    let answers = 0;
    device.faults.delayMs = () => ((answers += 1) % 4 === 0 ? 120 : 0);
    // The response goes to the latest connection, as with gateways that have one line and many clients.
    device.answersLatestConnection = true;
    await using plc = ModbusSourceFixture.start({ ...quick, timeout: '40ms', url: device.url, tags: spread });
    await expect.poll(() => answers).toBeGreaterThan(40);
    device.faults = noFaults();
    await plc.shows({ 'at-1': 1, 'at-300': 300, 'at-600': 600, 'at-900': 900 });
    const wrong = plc.sink.scans
      .flatMap((scan) => Object.entries(plc.show(scan)))
      .filter(([name, value]) => typeof value === 'number' && name !== `at-${value}`);
    expect(wrong).toEqual([]);
  });
});

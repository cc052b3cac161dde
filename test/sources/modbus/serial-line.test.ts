import { afterEach, beforeEach, expect, test } from 'vitest';
import { ModbusRawServer, noFaults } from '../../support/modbus-raw-server.ts';
import { ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';
import { describeWith } from '../../support/programs.ts';
import { SerialLine } from '../../support/serial-line.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';

/*
 * A device at the far end of a pty, so that the serial library, the driver's ways with bytes and andon's framing are all
 * the real ones. Every register holds its own address: an answer to another read would show.
 */
const quick = { scanInterval: '20ms', timeout: '100ms', reconnect: { first: '20ms', max: '60ms' } };
const at = (address: number) => ({ register: 'holding', address, type: 'uint16' }) as const;
const tags = { low: at(7), high: at(900) };
const allGood = { low: 7, high: 900 };

describeWith(['socat'], 'a device on a serial line', () => {
  let device: ModbusRawServer;
  let line: SerialLine;

  beforeEach(async () => {
    device = await ModbusRawServer.listen(0, 'rtu');
    device.registers.forEach((_, address) => (device.registers[address] = address));
    line = await SerialLine.plugIn(device.port);
  });

  afterEach(async () => {
    await line[Symbol.asyncDispose]();
    await device[Symbol.asyncDispose]();
  });

  const start = () => ModbusSourceFixture.start({ ...quick, url: line.url, tags });

  test('is read', async () => {
    await using plc = start();
    await plc.shows(allGood);
    expect(plc.health).toEqual({ status: 'ok', reason: '' });
  });

  test.each([
    ['noise before the answer', (answer: Buffer) => [Buffer.from([0, 0xff]), answer]],
    ['noise after the answer', (answer: Buffer) => [answer, Buffer.from([0, 0xff])]],
    ['a flipped bit', (answer: Buffer) => [answer.fill((answer[3] ?? 0) ^ 8, 3, 4)]],
    ['a frame that is cut', (answer: Buffer) => [answer.subarray(0, -1)]],
    ['another unit', (answer: Buffer) => [answer.fill(9, 0, 1)]],
  ])('with %s costs reads and no wrong value, and continues without a new connection', async (_, spoil) => {
    let answers = 0;
    device.faults.mutate = (answer) => ((answers += 1) % 4 === 0 ? spoil(answer) : undefined);
    await using plc = start();
    await expect.poll(() => answers).toBeGreaterThan(24);
    device.faults = noFaults();
    await plc.shows(allGood);
    expect(wrongValues(plc)).toEqual([]);
    expect(await metricValue(plc.deps, 'andon_modbus_reconnects_total{source="plc"}')).toBe(0);
  });

  test('that answers after its deadline, and after the line was silent, is never a step behind', async () => {
    let answers = 0;
    device.faults.delayMs = () => ((answers += 1) % 3 === 0 ? 330 : 0);
    await using plc = start();
    await expect.poll(() => answers).toBeGreaterThan(20);
    device.faults = noFaults();
    await plc.shows(allGood);
    expect(wrongValues(plc)).toEqual([]);
  });

  test('is shared by two units, and free immediately after a reload', async () => {
    const deps = testDeps();
    const begin = (unitId: number) => ModbusSourceFixture.start({ ...quick, url: line.url, unitId, tags }, deps);
    const [first, second] = [begin(1), begin(2)];
    await Promise.all([first.shows(allGood), second.shows(allGood)]);
    expect(device.connections).toBe(1);
    await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
    await using again = begin(1);
    expect(again.show(await again.sink.next())).toEqual(allGood);
    expect(new Set(device.requests.map(({ unitId }) => unitId))).toEqual(new Set([1, 2]));
  });

  test('that chatters while it is plugged in is read once it is silent', async () => {
    await using plc = start();
    await plc.shows(allGood);
    await line.unplug();
    await plc.shows({ low: 'bad link-down' });
    const chatter = setInterval(() => device.sendUnasked(Buffer.of(0xff, 0)), 1);
    await line.replug();
    await new Promise((resolve) => setTimeout(resolve, 500));
    clearInterval(chatter);
    await plc.shows(allGood);
    expect(wrongValues(plc)).toEqual([]);
    expect(await metricValue(plc.deps, 'andon_modbus_connected{source="plc"}')).toBe(1);
  });

  test('that is unplugged is bad and degraded, and read again once it is back', async () => {
    await using plc = start();
    await plc.shows(allGood);
    await line.unplug();
    await plc.shows({ low: 'bad link-down', high: 'bad link-down' });
    await expect.poll(() => plc.health.status).toBe('degraded');
    expect(plc.health.reason).toContain(line.path);
    await line.replug();
    await plc.shows(allGood);
    await expect.poll(() => plc.health.status).toBe('ok');
  });
});

function wrongValues(plc: ModbusSourceFixture): readonly unknown[] {
  const right: Readonly<Record<string, number>> = allGood;
  return plc.sink.scans
    .flatMap((scan) => Object.entries(plc.show(scan)))
    .filter(([name, value]) => typeof value === 'number' && value !== right[name]);
}

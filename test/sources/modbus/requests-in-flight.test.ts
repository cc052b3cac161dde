import { describe, expect, test } from 'vitest';
import { modbusKind } from '../../../src/sources/modbus/modbus-kind.ts';
import { RequestGroups } from '../../../src/sources/modbus/scan/request-groups.ts';
import { ModbusRawServer, touches } from '../../support/modbus-raw-server.ts';
import { type ModbusConfigInput, ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';

/*
 * Ten tags that are too far from each other for one request; each register holds its own address. With 8 in flight a scan
 * is a group of 8 and a group of 2.
 */
const addresses = Array.from({ length: 10 }, (_, index) => index * 1000);
const tags = Object.fromEntries(
  addresses.map((address) => [`at${address}`, { register: 'holding', address, type: 'uint16' } as const]),
);
const allGood = Object.fromEntries(addresses.map((address) => [`at${address}`, address]));
const quick = {
  scanInterval: '10ms',
  timeout: '200ms',
  requestsInFlight: 8,
  reconnect: { first: '10ms', max: '40ms' },
  tags,
} satisfies Omit<ModbusConfigInput, 'url'>;

async function addressedDevice(): Promise<ModbusRawServer> {
  const device = await ModbusRawServer.listen();
  device.registers.forEach((_, address) => (device.registers[address] = address));
  return device;
}

function wrongValues(plc: ModbusSourceFixture): readonly unknown[] {
  return plc.sink.scans
    .flatMap((scan) => Object.entries(plc.show(scan)))
    .filter(([name, value]) => typeof value === 'number' && value !== allGood[name]);
}

describe('a device that answers every request', () => {
  test('gets the first scan one at a time, and later ones in groups', async () => {
    await using device = await addressedDevice();
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url });
    await plc.shows(allGood);
    expect(device.requestsTogether).toBe(1);
    await plc.shows(allGood);
    await plc.shows(allGood);
    expect(device.requestsTogether).toBe(8);
    expect(wrongValues(plc)).toEqual([]);
    expect(plc.health).toEqual({ status: 'ok', reason: '' });
  });

  test('may answer byte by byte', async () => {
    await using device = await addressedDevice();
    device.faults.byteByByte = true;
    await using plc = ModbusSourceFixture.start({ ...quick, timeout: '10s', url: device.url });
    for (let scans = 0; scans < 5; scans += 1)
      // oxlint-disable-next-line no-await-in-loop -- one scan after the other
      await plc.shows(allGood);
    expect(device.requestsTogether).toBe(8);
    expect(wrongValues(plc)).toEqual([]);
  });

  test('and refuses one of a group: only that tag is bad', async () => {
    await using device = await addressedDevice();
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url });
    await plc.shows(allGood);
    device.faults.exception = (request) => (touches(request, 3000) ? 2 : 0);
    await plc.shows({ ...allGood, at3000: 'bad refused' });
    expect(plc.sink.scans.every((scan) => plc.show(scan)['at4000'] === 4000)).toBe(true);
    device.faults.exception = undefined;
  });
});

test.each([
  ['is silent about one', () => []],
  ['answers one with a byte too many', (answer: Buffer) => [Buffer.concat([answer, Buffer.of(1)])]],
  [
    'answers one with the id of another',
    (answer: Buffer) => [Buffer.concat([answer.subarray(2, 4), answer.subarray(2)])],
  ],
  ['answers one twice', (answer: Buffer) => [answer, answer]],
  [
    'puts a byte into the data',
    (answer: Buffer) => [Buffer.concat([answer.subarray(0, 9), Buffer.of(0), answer.subarray(9)])],
  ],
])('a device that %s of a group: no value of the group is used, and each is read again alone', async (_, spoil) => {
  await using device = await addressedDevice();
  await using plc = ModbusSourceFixture.start({ ...quick, url: device.url });
  await plc.shows(allGood);
  let spoilt = 0;
  device.faults.mutate = (answer, { address }) => {
    if (address !== 3000 || spoilt > 0 || device.requestsTogether < 8) return undefined;
    spoilt += 1;
    return spoil(answer);
  };
  await plc.sink.next(() => spoilt > 0);
  await plc.shows(allGood);
  expect(wrongValues(plc)).toEqual([]);
  expect(
    plc.sink.scans.every((scan) => Object.values(plc.show(scan)).every((value) => typeof value === 'number')),
  ).toBe(true);
});

test('a device that answers only the first request of a group is read one request at a time, and health says why', async () => {
  await using device = await addressedDevice();
  device.faults.onlyFirstOfSegment = true;
  await using plc = ModbusSourceFixture.start({ ...quick, url: device.url });
  await plc.sink.next(() => plc.health.reason.includes('requests are sent one at a time'));
  expect(plc.health.status).toBe('degraded');
  expect(plc.health.reason).toMatch(
    /because a group of 8 was not answered completely: .* did not answer \d of \d requests in flight within 200 ms\. Lower requestsInFlight/,
  );
  const { connections } = device;
  await plc.shows(allGood);
  await plc.shows(allGood);
  expect(device.connections).toBe(connections);
  expect(wrongValues(plc)).toEqual([]);
});

test('groups are tried again after a growing wait, and one good group ends it', () => {
  const groups = new RequestGroups(8, () => 0);
  expect([groups.failed(0, 'a'), groups.failed(0, 'a')]).toEqual([false, false]);
  expect(groups.answered()).toBe(false);
  expect([groups.failed(0, 'a'), groups.failed(0, 'a'), groups.failed(0, 'a')]).toEqual([false, false, true]);
  const firstWaitMs = waitOf(groups, 0);
  expect(groups.size(firstWaitMs)).toBe(8);
  expect(groups.failed(firstWaitMs, 'b')).toBe(true);
  expect(waitOf(groups, firstWaitMs)).toBe(2 * firstWaitMs);
  expect(groups.answered()).toBe(true);
  expect(groups.problem).toBeUndefined();
});

/** Time until a group may be sent, to the second. */
function waitOf(groups: RequestGroups, fromMs: number): number {
  for (let waitMs = 0; ; waitMs += 1000) if (groups.size(fromMs + waitMs) > 1) return waitMs;
}

test.each([
  ['rtu+tcp://plc:502', {}, /RTU and ASCII/],
  ['serial:///dev/ttyS0', {}, /RTU and ASCII/],
  ['tcp://plc', { transactionId: 'ignore' }, /transactionId: ignore/],
  ['tcp://plc', { pauseBetweenRequests: '5ms' }, /pauseBetweenRequests/],
])('%s with %o takes one request at a time', (url, options, why) => {
  const { success, error } = modbusKind.schema.safeParse({
    type: 'modbus',
    url,
    requestsInFlight: 2,
    tags,
    ...options,
  });
  expect(success).toBe(false);
  expect(error?.issues[0]?.path).toEqual(['requestsInFlight']);
  expect(error?.issues[0]?.message).toMatch(why);
});

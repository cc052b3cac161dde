import { describe, expect, test } from 'vitest';
import { ModbusRawServer, noFaults, touches, withChecksum } from '../../support/modbus-raw-server.ts';
import { ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';
import { testDeps } from '../../support/test-deps.ts';

/*
 * Faults of devices, in both framings. The rule: only the device's own values are good, the fault is named, and two
 * timeouts after the last fault all tags are good again. Each register holds its own address.
 */
const TIMEOUT_MS = 400;
const quick = {
  scanInterval: '20ms',
  timeout: `${TIMEOUT_MS}ms`,
  retries: 0,
  reconnect: { first: '10ms', max: '40ms' },
};
const at = (address: number) => ({ register: 'holding', address, type: 'uint16' }) as const;
const tags = { low: at(7), high: at(900) };
const allGood = { low: 7, high: 900 };
const framings = ['mbap', 'rtu'] as const;
type FramingName = (typeof framings)[number];

async function addressedDevice(framing: FramingName): Promise<ModbusRawServer> {
  const device = await ModbusRawServer.listen(0, framing);
  device.registers.forEach((_, address) => (device.registers[address] = address));
  return device;
}

function wrongValues(plc: ModbusSourceFixture): readonly unknown[] {
  const right: Readonly<Record<string, number>> = allGood;
  return plc.sink.scans
    .flatMap((scan) => Object.entries(plc.show(scan)))
    .filter(([name, value]) => typeof value === 'number' && value !== right[name]);
}

/** Offset of the unit id; the function code, the byte count and the data follow. */
const unitIdAt = { mbap: 6, rtu: 0 } as const;

/** Changes a byte and corrects the checksum, so that the byte is the only fault. */
function withByte(framing: FramingName, answer: Buffer, place: number, change: (byte: number) => number): Buffer {
  const changed = Buffer.from(answer);
  const index = unitIdAt[framing] + place;
  changed[index] = change(changed[index] ?? 0);
  return framing === 'rtu' ? withChecksum(changed.subarray(0, -2)) : changed;
}

async function durationOf(action: () => Promise<unknown>): Promise<number> {
  const fromMs = performance.now();
  await action();
  return performance.now() - fromMs;
}

type Spoil = (answer: Buffer, framing: FramingName) => readonly Buffer[];
const noise = Buffer.of(0, 0xff, 3);

const faults: readonly (readonly [string, Spoil])[] = [
  ['another unit', (answer, framing) => [withByte(framing, answer, 0, (unitId) => unitId + 1)]],
  ['another function', (answer, framing) => [withByte(framing, answer, 1, () => 4)]],
  ['an exception to another function', (answer, framing) => [withByte(framing, answer, 1, () => 0x84)]],
  ['a byte count that is too small', (answer, framing) => [withByte(framing, answer, 2, (count) => count - 2)]],
  ['a byte count that is too large', (answer, framing) => [withByte(framing, answer, 2, (count) => count + 2)]],
  ['no data', (answer, framing) => [answer.subarray(0, unitIdAt[framing] + 3)]],
  ['half of it', (answer) => [answer.subarray(0, answer.length >>> 1)]],
  ['two extra bytes', (answer) => [Buffer.concat([answer, Buffer.of(0, 7)])]],
  ['garbage before it', (answer) => [noise, answer]],
  ['garbage in the middle', (answer) => [Buffer.concat([answer.subarray(0, 4), noise, answer.subarray(4)])]],
  ['garbage after it', (answer) => [Buffer.concat([answer, noise])]],
  ['itself twice', (answer) => [Buffer.concat([answer, answer])]],
  ['nothing', () => []],
];

describe.each(framings)('a device with %s framing that answers with', (framing) => {
  test.each(faults)('%s is bad until it stops, and then good within two timeouts', async (_, spoil) => {
    await using device = await addressedDevice(framing);
    await using plc = ModbusSourceFixture.start({ ...quick, framing: 'strict', url: device.url, tags });
    await plc.shows(allGood);
    const scanMs = await durationOf(() => plc.shows(allGood));
    device.faults.mutate = (answer, request) => (touches(request, 900) ? spoil(answer, framing) : undefined);
    await plc.sink.next((scan) => scan.get(plc.number('high'))?.quality === 'bad');
    device.faults = noFaults();
    const recoveryMs = await durationOf(() => plc.shows(allGood));
    // On a busy machine a good scan takes longer, too.
    expect(recoveryMs).toBeLessThan(Math.max(2 * TIMEOUT_MS, 20 * scanMs));
    expect(wrongValues(plc)).toEqual([]);
  });

  // Exceptions 1, 10 and 11 concern the function or the unit, and still fail only the read that they answer.
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])('exception %i to one register keeps the others good', async (code) => {
    await using device = await addressedDevice(framing);
    device.faults.exception = (request) => (touches(request, 900) ? code : 0);
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url, tags });
    await plc.shows({ low: 7, high: code >= 10 ? 'bad timeout' : 'bad refused' });
    expect(plc.show(await plc.sink.next()).low).toBe(7);
    expect(wrongValues(plc)).toEqual([]);
    expect(plc.health.reason).toContain(`exception ${code}`);
  });

  test('at most ten registers a read is read in pieces, each tag good', async () => {
    await using device = await addressedDevice(framing);
    device.faults.maxRegisters = 10;
    const row = Object.fromEntries(Array.from({ length: 60 }, (_, address) => [`r${address}`, at(address)] as const));
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url, tags: row });
    const good = Object.fromEntries(Object.keys(row).map((name, address) => [name, address]));
    await plc.shows(good);
    expect(plc.show(await plc.sink.next())).toEqual(good);
    expect(plc.health.status).toBe('ok');
  });

  test('one byte at a time is read as well as any', async () => {
    await using device = await addressedDevice(framing);
    device.faults.byteByByte = true;
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url, tags });
    expect(plc.show(await plc.sink.next())).toEqual(allGood);
  });
});

describe.each(framings)('a device with %s framing', (framing) => {
  test('and takes only one connection is read by all who name it, also after a unit of it was silent', async () => {
    await using device = await addressedDevice(framing);
    device.faults.onlyOneConnection = true;
    const deps = testDeps();
    const source = { ...quick, timeout: '60ms', url: device.url, tags };
    await using first = ModbusSourceFixture.start({ ...source, unitId: 1 }, deps, 'first');
    await using second = ModbusSourceFixture.start({ ...source, unitId: 2 }, deps, 'second');
    await Promise.all([first.shows(allGood), second.shows(allGood)]);
    device.faults.silentUnits = new Set([2]);
    await second.shows({ low: 'bad unit-set-aside' });
    await first.shows(allGood);
    device.faults.silentUnits = new Set();
    await Promise.all([first.shows(allGood), second.shows(allGood)]);
    expect(device.turnedAway).toBe(0);
    expect(wrongValues(first)).toEqual([]);
  });

  test('whose only connection another master holds is degraded, and is read after that master leaves', async () => {
    await using device = await addressedDevice(framing);
    device.faults.onlyOneConnection = true;
    const other = ModbusSourceFixture.start({ ...quick, url: device.url, tags }, testDeps(), 'other');
    await other.shows(allGood);
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url, tags });
    await plc.shows({ low: 'bad link-down' });
    expect(plc.health.status).toBe('degraded');
    await other[Symbol.asyncDispose]();
    await plc.shows(allGood);
    expect(wrongValues(plc)).toEqual([]);
  });
});

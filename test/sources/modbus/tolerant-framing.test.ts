import { describe, expect, test } from 'vitest';
import { rtuFraming, tolerantRtuFraming } from '../../../src/sources/modbus/frame/rtu-frame.ts';
import type { ReadRequest } from '../../../src/sources/modbus/frame/read-pdu.ts';
import { ModbusRawServer, noFaults, withChecksum } from '../../support/modbus-raw-server.ts';
import { ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';

const request: ReadRequest = { unitId: 17, functionCode: 3, address: 107, count: 3 };
const answer = withChecksum(Buffer.from([17, 3, 6, 0xae, 0x41, 0x56, 0x52, 0x43, 0x40]));
const foreign = withChecksum(Buffer.from([18, 3, 2, 0, 7]));
const echo = rtuFraming.requestFrame(request);

function check(...parts: readonly Buffer[]): string {
  const bytes = Buffer.concat(parts);
  return tolerantRtuFraming.check(bytes, bytes.length, 0, request).kind;
}

function dataOf(...parts: readonly Buffer[]): Buffer | undefined {
  const bytes = Buffer.concat(parts);
  const found = tolerantRtuFraming.check(bytes, bytes.length, 0, request);
  return found.kind === 'data' ? found.bytes.subarray(found.offset, found.offset + 6) : undefined;
}

describe('a tolerant RTU framing', () => {
  test.each([
    ['three zeros before it', [Buffer.alloc(3), answer]],
    ['three zeros after it', [answer, Buffer.alloc(3)]],
    ['32 stray bytes on both sides', [Buffer.alloc(32, 0xff), answer, Buffer.alloc(32)]],
    ['its own unit id before it', [Buffer.of(17), answer]],
    ['the start of a frame before it', [Buffer.of(17, 3, 6, 1), answer]],
    ['the request before it', [echo, answer]],
    ['the request and noise before it', [echo, Buffer.of(0, 0xff), answer]],
  ])('finds the response with %s', (_, parts) => {
    expect(dataOf(...parts)).toEqual(answer.subarray(3, 9));
  });

  test.each([
    ['a response to another unit before it', 'wrong-unit-id', [foreign, answer]],
    ['noise and another response before it', 'bytes-before-the-frame', [Buffer.of(0), foreign, answer]],
    ['another response after it', 'bytes-after-the-frame', [answer, foreign]],
    ['itself after it', 'bytes-after-the-frame', [answer, answer]],
    ['33 stray bytes after it', 'bytes-after-the-frame', [answer, Buffer.alloc(33)]],
    ['33 stray bytes before it', 'wrong-unit-id', [Buffer.alloc(33), answer]],
    ['a damaged byte', 'wrong-checksum', [Buffer.from(answer).fill(0, 4, 5)]],
    ['no start yet', 'incomplete', [Buffer.alloc(3), answer.subarray(0, 4)]],
  ])('does not take a response with %s', (_, kind, parts) => {
    expect(check(...parts)).toBe(kind);
  });
});

const quick = { scanInterval: '20ms', timeout: '400ms', retries: 0, reconnect: { first: '10ms', max: '40ms' } };
const at = (address: number) => ({ register: 'holding', address, type: 'uint16' }) as const;
const tags = { low: at(7), high: at(900) };
/** One tag and one scan: health keeps the reason of its first read. */
const oneRead = { ...quick, scanInterval: '1h', tags: { low: at(7) } };
const allGood = { low: 7, high: 900 };

async function rtuDevice(): Promise<ModbusRawServer> {
  const device = await ModbusRawServer.listen(0, 'rtu');
  device.registers.forEach((_, address) => (device.registers[address] = address));
  return device;
}

describe('a device behind a driver that adds stray bytes', () => {
  test.each([
    ['after each frame', (frame: Buffer) => [Buffer.concat([frame, Buffer.alloc(3)])]],
    ['a moment after each frame', (frame: Buffer) => [frame, Buffer.alloc(2)]],
    ['before each frame', (frame: Buffer) => [Buffer.alloc(3), frame]],
  ])('%s is read on one connection, each value good', async (_, mutate) => {
    await using device = await rtuDevice();
    device.faults.mutate = mutate;
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url, tags });
    for (let scans = 0; scans < 20; scans += 1) await plc.shows(allGood);
    const shown = plc.sink.scans.flatMap((scan) => Object.values(plc.show(scan)));
    expect(new Set(shown)).toEqual(new Set([7, 900]));
    expect(device.connections).toBe(1);
    expect(plc.health.status).toBe('ok');
  });

  test('is refused with framing: strict, with the bytes and the key', async () => {
    await using device = await rtuDevice();
    device.faults.mutate = (frame) => [Buffer.concat([frame, Buffer.of(0)])];
    await using plc = ModbusSourceFixture.start({ ...oneRead, framing: 'strict', url: device.url });
    await plc.shows({ low: 'bad garbled-answer' });
    await expect
      .poll(() => plc.health.reason)
      .toMatch(
        /bytes after the frame: expected none, found 1; received 8 bytes: 01 03 02 00 07 .* 00\..*framing: tolerant/,
      );
  });
});

test.each([
  ['an answer', 'check', (frame: Buffer) => frame.subarray(6), /wrong transaction id.*received 7 bytes: 01 03 02 /],
  ['an answer', 'ignore', (frame: Buffer) => frame.subarray(6), /wrong protocol id.*received 7 bytes: 01 03 02 /],
  ['an exception of another unit', 'check', () => Buffer.of(0, 0x87, 1), /received 5 bytes: 00 87 01 d3 f0/],
] as const)(
  '%s with an RTU frame behind tcp:// is recognised, with transactionId: %s',
  async (_what, transactionId, body, kind) => {
    await using device = await ModbusRawServer.listen();
    device.faults.mutate = (frame) => [withChecksum(body(frame))];
    await using plc = ModbusSourceFixture.start({ ...oneRead, transactionId, url: device.url });
    await plc.shows({ low: 'bad garbled-answer' });
    await expect.poll(() => plc.health.reason).toMatch(kind);
    expect(plc.health.reason).toContain(
      '. These bytes are a valid frame of Modbus RTU: write rtu+tcp:// instead of tcp:// in url',
    );
  },
);

describe('a gateway that does not return the transaction id', () => {
  const asZero = (frame: Buffer) => [frame.fill(0, 0, 2)];
  const swapped = (frame: Buffer) => [frame.fill(frame.readUInt8(1), 0, 1).fill(0, 1, 2)];

  test('is refused, with the id asked, the id found, and the key', async () => {
    await using device = await ModbusRawServer.listen();
    device.faults.mutate = swapped;
    await using plc = ModbusSourceFixture.start({ ...oneRead, url: device.url });
    await plc.shows({ low: 'bad garbled-answer' });
    await expect
      .poll(() => plc.health.reason)
      .toMatch(/wrong transaction id: expected 0x00\w\w, found 0x\w\w00; received 11 bytes.*transactionId: ignore/);
  });

  test.each([
    ['0', asZero],
    ['swapped bytes', swapped],
  ])('is read with transactionId: ignore if it answers %s', async (_, mutate) => {
    await using device = await ModbusRawServer.listen();
    device.registers.set([70], 7);
    device.faults.mutate = mutate;
    await using plc = ModbusSourceFixture.start({
      ...quick,
      transactionId: 'ignore',
      url: device.url,
      tags: { low: at(7) },
    });
    await plc.shows({ low: 70 });
    expect(device.connections).toBe(1);
  });

  test('and answers late passes no answer for another: each timeout closes the connection', async () => {
    await using device = await ModbusRawServer.listen();
    device.registers.forEach((_, address) => (device.registers[address] = address));
    device.answersLatestConnection = true;
    device.faults.mutate = asZero;
    let answers = 0;
    device.faults.delayMs = () => ((answers += 1) % 3 === 0 ? 330 : 0);
    await using plc = ModbusSourceFixture.start({
      ...quick,
      timeout: '100ms',
      transactionId: 'ignore',
      url: device.url,
      tags,
    });
    await expect.poll(() => answers, { timeout: 60_000 }).toBeGreaterThan(12);
    device.faults = { ...noFaults(), mutate: asZero };
    await plc.shows(allGood);
    const wrong = plc.sink.scans
      .flatMap((scan) => Object.entries(plc.show(scan)))
      .filter(([name, value]) => typeof value === 'number' && value !== (name === 'low' ? 7 : 900));
    expect(wrong).toEqual([]);
    expect(device.connections).toBeGreaterThan(2);
  });
});

describe('a connection', () => {
  test('carries no request before pauseAfterConnect has passed', async () => {
    await using device = await ModbusRawServer.listen();
    let connectedAtMs = 0;
    let firstMs = 0;
    device.faults.delayMs = () => {
      if (firstMs === 0) firstMs = performance.now() - connectedAtMs;
      return 0;
    };
    connectedAtMs = performance.now();
    await using plc = ModbusSourceFixture.start({ ...quick, pauseAfterConnect: '300ms', url: device.url, tags });
    await plc.shows({ low: 0 });
    expect(firstMs).toBeGreaterThan(299);
  });

  test('is closed after each scan with closeAfterScan, and each scan is good', async () => {
    await using device = await ModbusRawServer.listen();
    device.registers.forEach((_, address) => (device.registers[address] = address));
    await using plc = ModbusSourceFixture.start({ ...quick, closeAfterScan: true, url: device.url, tags });
    for (let scans = 0; scans < 5; scans += 1) expect(plc.show(await plc.sink.next())).toEqual(allGood);
    await expect.poll(() => device.openConnections).toBe(0);
    expect(device.connections).toBeGreaterThanOrEqual(5);
    expect(plc.health.status).toBe('ok');
  });
});

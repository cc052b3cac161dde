import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ModbusRawServer } from '../../support/modbus-raw-server.ts';
import { ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';

const quick = { scanInterval: '20ms', timeout: '150ms', reconnect: { first: '10ms', max: '40ms' } };
const pressure = { register: 'holding', address: 0, type: 'float32', unit: 'bar' } as const;
const speed = { register: 'holding', address: 2, type: 'int16', scale: 0.1, offset: -10 } as const;
const running = { register: 'discrete', address: 3, type: 'bool' } as const;

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

describe('a device that works', () => {
  test('every scan holds every tag, scaled, with the time it was read', async () => {
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url, tags: { pressure, speed, running } });
    const before = plc.deps.clock.nowMs();
    const scan = await plc.sink.next();
    expect(plc.show(scan)).toEqual({ pressure: 2.5, speed: 20, running: 1 });
    for (const { timeMs } of scan.values()) {
      expect(timeMs).toBeGreaterThanOrEqual(before);
      expect(timeMs).toBeLessThanOrEqual(plc.deps.clock.nowMs());
    }
    expect(plc.health.status).toBe('ok');
  });

  test('neighbours are joined into one read a function code', async () => {
    await using plc = ModbusSourceFixture.start({ ...quick, url: device.url, tags: { pressure, speed, running } });
    await plc.sink.next();
    expect(device.requests.slice(0, 2)).toMatchObject([
      { functionCode: 2, address: 3, count: 1 },
      { functionCode: 3, address: 0, count: 3 },
    ]);
  });
});

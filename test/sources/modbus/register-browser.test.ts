import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LinkPool } from '../../../src/sources/modbus/link/link-pool.ts';
import type { EndpointLinkOptions } from '../../../src/sources/modbus/link/endpoint-link.ts';
import { ModbusMeters } from '../../../src/sources/modbus/link/modbus-metrics.ts';
import { parseModbusUrl } from '../../../src/protocols/modbus/modbus-url.ts';
import { modbusSourceSchema, type ModbusSourceConfig } from '../../../src/sources/modbus/plan/modbus-config.ts';
import { RegisterBrowser } from '../../../src/sources/modbus/register-browser.ts';
import { plainLink } from '../../support/link-options.ts';
import { ModbusRawServer } from '../../support/modbus-raw-server.ts';
import { testDeps } from '../../support/test-deps.ts';

/* Reads of a person over the link of the scans. Invariant: no scan waits for them longer than one request takes. */
describe('the register browser', () => {
  let server: ModbusRawServer;
  let options: EndpointLinkOptions;
  let config: ModbusSourceConfig;
  const deps = testDeps();

  beforeEach(async () => {
    server = await ModbusRawServer.listen();
    options = { endpoint: parseModbusUrl(server.url), ...plainLink };
    config = modbusSourceSchema.parse({
      type: 'modbus',
      url: server.url,
      unitId: 1,
      scanInterval: '1s',
      tags: { a: { register: 'holding', address: 0, type: 'int16' } },
    });
  });
  afterEach(() => server[Symbol.asyncDispose]());

  function scans() {
    const meters = new ModbusMeters(testDeps().metrics, 'plc');
    return LinkPool.of(deps).share(options, { meters, onChange: () => undefined, spareRegisters: 0 });
  }

  test('reads over the connection in use, and offers every type and byte order', async () => {
    await using link = scans();
    link.start();
    server.registers.set([0x40_60, 0], 10);
    const browser = new RegisterBrowser(options, config, deps);
    const [first, second] = await browser.read({ register: 'holding', address: 10, count: 2 });
    expect(first).toMatchObject({ address: 10, raw: 0x40_60 });
    expect(first?.interpretations).toContainEqual({ type: 'float32', byteOrder: 'ABCD', value: 3.5 });
    expect(first?.interpretations).toContainEqual({ type: 'int16', byteOrder: 'ABCD', value: 0x40_60 });
    expect(second?.interpretations.map(({ type }) => type)).not.toContain('float32');
    expect(server.connections).toBe(1);
  });

  test('lets the scans that wait go first', async () => {
    await using link = scans();
    link.start();
    const browser = new RegisterBrowser(options, config, deps);
    const answered: number[] = [];
    const scan = (address: number) =>
      new Promise<void>((resolve, reject) => {
        const listener = {
          answered: () => {
            answered.push(address);
            resolve();
          },
          refused: reject,
          failed: reject,
        };
        link.submit([link.prepare({ unitId: 1, functionCode: 3, address, count: 1 }, 5000, listener)]);
      });
    const first = scan(1);
    const browsed = browser.read({ register: 'holding', address: 50, count: 1 });
    await Promise.all([first, browsed, scan(2), scan(3)]);
    expect(server.requests.map(({ address }) => address)).toEqual([1, 2, 3, 50]);
    expect(answered).toEqual([1, 2, 3]);
  });

  test('has one read at a time, and a refused address names its reason', async () => {
    await using link = scans();
    link.start();
    server.faults.exception = () => 2;
    const browser = new RegisterBrowser(options, config, deps);
    const first = browser.read({ register: 'input', address: 9, count: 4 });
    await expect(browser.read({ register: 'input', address: 9, count: 4 })).rejects.toMatchObject({
      code: 'modbus-browser-busy',
    });
    await expect(first).rejects.toThrow('Unit 1 refused function 4, 4 from 9');
  });

  test('ends its read with the source, so that the next source gets a fresh link', async () => {
    server.faults.silent = true;
    const link = scans();
    link.start();
    const browser = new RegisterBrowser(options, config, deps);
    const reading = browser.read({ register: 'holding', address: 0, count: 1 });
    const failure = reading.catch((error: unknown) => error);
    await browser[Symbol.asyncDispose]();
    await link[Symbol.asyncDispose]();
    expect(await failure).toMatchObject({ code: 'modbus-browser-busy' });
    server.faults.silent = false;
    await using next = scans();
    next.start();
    const other = new RegisterBrowser(options, config, deps);
    expect(await other.read({ register: 'coil', address: 0, count: 1 })).toEqual([
      { address: 0, raw: 0, interpretations: [] },
    ]);
  });
});

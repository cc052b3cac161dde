import { describe, expect, test } from 'vitest';
import { EndpointLink } from '../../../src/sources/modbus/link/endpoint-link.ts';
import { ModbusMeters } from '../../../src/sources/modbus/link/modbus-metrics.ts';
import { parseModbusUrl } from '../../../src/protocols/modbus/modbus-url.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { plainLink } from '../../support/link-options.ts';
import { withChecksum } from '../../support/modbus-raw-server.ts';
import { SimulatedLine } from '../../support/simulated-line.ts';
import { testDeps } from '../../support/test-deps.ts';

/*
 * The rule: if a serial device server sends every response to every master, or a device answers twice, responses cannot be
 * assigned to reads. As soon as this is detected, no value of the line is delivered until it has stopped.
 */
const FOREIGN = withChecksum(Buffer.of(1, 3, 2, 0xde, 0xad));
const NOISE = Buffer.of(0, 0xff, 0, 0x12, 0x34, 0, 0xff);

class Plant {
  readonly clock = new FakeClock();
  readonly line: SimulatedLine;
  readonly link: EndpointLink;
  readonly #user;

  constructor(url: string) {
    const deps = testDeps(this.clock);
    const endpoint = parseModbusUrl(url);
    const framing = endpoint.framing === 'mbap' ? 'mbap' : 'rtu';
    const conduct = () => ({ delayMs: 5 });
    this.line = new SimulatedLine({ framing, clock: this.clock, word: () => 42, conduct });
    this.link = new EndpointLink({ ...plainLink, endpoint }, deps, undefined, this.line.open);
    this.#user = { meters: new ModbusMeters(deps.metrics, 'plc'), onChange: () => undefined, spareRegisters: 16 };
    this.link.join(this.#user);
    this.link.start();
  }

  /** Reads one register every 100 ms, with these unsolicited bytes in between. @returns Results of the reads. */
  async run(ms: number, received?: Buffer): Promise<readonly string[]> {
    const results: string[] = [];
    for (let passedMs = 0; passedMs < ms; passedMs += 100) {
      const read = { unitId: 1, functionCode: 3, address: 0, count: 1 } as const;
      const listener = {
        answered: (bytes: Buffer, offset: number) => void results.push(String(bytes.readUInt16BE(offset))),
        refused: () => void results.push('refused'),
        failed: ({ code }: { readonly code: string }) => void results.push(code),
      };
      this.link.submit([this.link.prepare(read, 1000, listener, this.#user)]);
      await this.clock.advance(50);
      if (received !== undefined) this.line.receive(received);
      await this.clock.advance(50);
    }
    return results;
  }
}

describe.each(['rtu+tcp://10.0.0.9:4001', 'serial:///dev/ttyUSB0'])('on %s', (url) => {
  test('andon sends nothing until unsolicited responses have stopped', async () => {
    const plant = new Plant(url);
    expect(new Set(await plant.run(1000))).toEqual(new Set(['42']));
    await plant.run(1000, FOREIGN);
    const asked = plant.line.requests.length;
    expect(new Set(await plant.run(60_000, FOREIGN))).toEqual(new Set(['modbus-link-down']));
    expect(plant.line.requests).toHaveLength(asked);
    expect(plant.link.problem()?.message).toContain('another master uses the line, or a device answers twice');
    await plant.run(11_000);
    expect(plant.link.problem()).toBe(undefined);
    expect(new Set(await plant.run(1000))).toEqual(new Set(['42']));
  });

  test('a single one may be chance, and noise is none', async () => {
    const plant = new Plant(url);
    await plant.run(100, FOREIGN);
    await plant.run(1000, NOISE);
    await plant.run(11_000);
    await plant.run(100, FOREIGN);
    expect(plant.link.problem()).toBe(undefined);
    await plant.run(1000);
    expect(new Set(await plant.run(1000))).toEqual(new Set(['42']));
  });
});

test('on Modbus TCP the transaction id identifies them, and andon continues', async () => {
  const plant = new Plant('tcp://10.0.0.7:502');
  await plant.run(5000, Buffer.from('000900000005010302dead', 'hex'));
  expect(plant.link.problem()).toBe(undefined);
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ModbusMeters } from '../../../src/sources/modbus/link/modbus-metrics.ts';
import { LinkPool } from '../../../src/sources/modbus/link/link-pool.ts';
import type { ModbusLink } from '../../../src/sources/modbus/link/modbus-link.ts';
import { parseModbusUrl } from '../../../src/protocols/modbus/modbus-url.ts';
import type { NumberedTag } from '../../../src/sources/modbus/plan/read-part.ts';
import { RequestGroups } from '../../../src/sources/modbus/scan/request-groups.ts';
import { ScanClass } from '../../../src/sources/modbus/scan/scan-class.ts';
import { Scanner } from '../../../src/sources/modbus/scan/scanner.ts';
import { UnitBreaker } from '../../../src/sources/modbus/scan/unit-breaker.ts';
import { plainLink } from '../../support/link-options.ts';
import { ModbusRawServer } from '../../support/modbus-raw-server.ts';
import { RecordingSink } from '../../support/modbus-recording-sink.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';

/** Units behind one gateway, each with a scan class of its own on the one link. */
class Gateway implements AsyncDisposable {
  readonly deps = testDeps();
  readonly meters = new ModbusMeters(this.deps.metrics, 'gateway');
  readonly link: ModbusLink;
  readonly #scanners: Scanner[] = [];

  constructor(port: number) {
    this.link = LinkPool.of(this.deps).share(
      {
        endpoint: parseModbusUrl(`tcp://127.0.0.1:${port}`),
        ...plainLink,
        reconnectFirstMs: 5,
        reconnectMaxMs: 20,
      },
      { meters: this.meters, onChange: () => undefined, spareRegisters: 0 },
    );
    this.link.start();
  }

  /** Scans one register of the unit every 20 ms. */
  scan(unitId: number): RecordingSink {
    const sink = new RecordingSink();
    const scanner = new Scanner({ scanIntervalMs: 20, clock: this.deps.clock, onMissed: () => undefined });
    const tag: NumberedTag = {
      name: `unit-${unitId}`,
      number: unitId,
      functionCode: 3,
      address: 0,
      width: 1,
      meaning: { type: 'uint16', byteOrder: 'ABCD', bit: undefined, codes: { known: [], suspected: [] } },
      scale: 1,
      offset: 0,
    };
    const scanClass = new ScanClass({
      source: 'gateway',
      unitId,
      blocks: [{ functionCode: 3, address: 0, count: 1, items: [tag] }],
      limits: { maxGap: 0, maxRegisters: 125, maxBits: 2000 },
      timeoutMs: 80,
      retries: 1,
      link: this.link,
      breaker: new UnitBreaker(this.deps.random),
      groups: new RequestGroups(1, this.deps.random),
      meters: this.meters,
      sink,
      deps: this.deps,
      onScanEnd: (answered) => scanner.scanEnded(answered),
      onChange: () => undefined,
    });
    this.#scanners.push(scanner);
    scanner.start(scanClass);
    return sink;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const scanner of this.#scanners) scanner.stop();
    await this.link[Symbol.asyncDispose]();
  }
}

let device: ModbusRawServer;

beforeEach(async () => {
  device = await ModbusRawServer.listen();
});

afterEach(async () => {
  await device[Symbol.asyncDispose]();
});

describe('units that share one connection', () => {
  test('are all read over it, one request at a time', async () => {
    let inFlight = 0;
    let inFlightMax = 0;
    device.faults.delayMs = () => {
      inFlightMax = Math.max(inFlightMax, (inFlight += 1));
      // Timers with the same delay fire in order: the count decreases right before the response is sent.
      setTimeout(() => (inFlight -= 1), 2);
      return 2;
    };
    await using gateway = new Gateway(device.port);
    const sinks = [1, 2, 3, 4].map((unitId) => gateway.scan(unitId));
    for (const sink of sinks) await sink.next((scan) => [...scan.values()].every(({ quality }) => quality === 'good'));
    expect(device.connections).toBe(1);
    expect(inFlightMax).toBe(1);
  });

  test('go on at their rate while one of them is dead', async () => {
    device.faults.silentUnits = new Set([2]);
    await using gateway = new Gateway(device.port);
    const [living, dead] = [gateway.scan(1), gateway.scan(2)];
    await dead.next((scan) => scan.get(2)?.reason === 'unit-set-aside');
    const from = living.scans.length;
    for (let scans = 0; scans < 20; scans += 1) await living.next();
    const shown = living.scans.slice(from).map((scan) => scan.get(1)?.quality);
    expect(shown).toEqual(Array.from({ length: 20 }, () => 'good'));
    const asked = device.requests.filter(({ unitId }) => unitId === 2);
    expect(asked.length).toBeLessThan(6);
  });

  test('get the dead one back when it answers again', async () => {
    device.faults.silentUnits = new Set([2]);
    await using gateway = new Gateway(device.port);
    gateway.scan(1);
    const dead = gateway.scan(2);
    await dead.next((scan) => scan.get(2)?.reason === 'unit-set-aside');
    device.faults.silentUnits = new Set();
    await dead.next((scan) => scan.get(2)?.quality === 'good');
    await expect.poll(() => dead.scans.at(-1)?.get(2)?.quality).toBe('good');
  });
});

describe('a link', () => {
  test('does not take a stall of the event loop for a device that is late', async () => {
    await using gateway = new Gateway(device.port);
    const sink = gateway.scan(1);
    device.faults.mutate = (answer) => {
      // The answer is sent after the deadline, but within the turn of the loop that the deadline passed in.
      if (device.requests.length % 3 === 0) stall(120);
      return [answer];
    };
    for (let scans = 0; scans < 10; scans += 1) await sink.next();
    expect(sink.scans.map((scan) => scan.get(1)?.reason)).not.toContain('timeout');
    expect(
      await metricValue(gateway.deps, 'andon_modbus_request_errors_total{source="gateway",code="modbus-timeout"}'),
    ).toBe(0);
  });
});

function stall(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

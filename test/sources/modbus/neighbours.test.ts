import { describe, expect, test } from 'vitest';
import { type ModbusEndpoint, parseModbusUrl } from '../../../src/protocols/modbus/modbus-url.ts';
import { requestMs } from '../../../src/sources/modbus/frame/bus-time.ts';
import { EndpointLink } from '../../../src/sources/modbus/link/endpoint-link.ts';
import { linkShare } from '../../../src/sources/modbus/link/link-pool.ts';
import { ModbusMeters } from '../../../src/sources/modbus/link/modbus-metrics.ts';
import type { NumberedTag } from '../../../src/sources/modbus/plan/read-part.ts';
import { blockOf } from '../../../src/sources/modbus/plan/register-plan.ts';
import { RequestGroups } from '../../../src/sources/modbus/scan/request-groups.ts';
import { ScanClass } from '../../../src/sources/modbus/scan/scan-class.ts';
import { Scanner } from '../../../src/sources/modbus/scan/scanner.ts';
import { UnitBreaker } from '../../../src/sources/modbus/scan/unit-breaker.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { plainLink } from '../../support/link-options.ts';
import { SimulatedLine } from '../../support/simulated-line.ts';
import { testDeps } from '../../support/test-deps.ts';

/*
 * The rule: a unit without valid responses changes the scan times of the other units on the link by less than 5 %.
 *
 * The method: ten minutes of simulated time on a line where a request takes the time of its bytes, its silences and the
 * device; with the dead unit and without it. Neighbours that scan without a pause show the lost share of the line; those
 * with an interval show whether their scans are on time.
 */
const MINUTES = 10;
const DEAD = 9;
const TIMEOUT_MS = 1000;

type Fault = 'silence' | 'garbled answers';
type Scans = { readonly count: number; readonly medianMs: number; readonly missed: number };

class Line {
  readonly clock = new FakeClock();
  readonly deps = testDeps(this.clock);
  readonly line: SimulatedLine;
  readonly link: EndpointLink;

  /** @param fault Result of a request to the dead unit. */
  constructor(endpoint: ModbusEndpoint, fault: Fault) {
    this.line = new SimulatedLine({
      framing: endpoint.framing === 'mbap' ? 'mbap' : 'rtu',
      clock: this.clock,
      word: (address) => address,
      conduct: (request) => {
        const delayMs = requestMs(endpoint, request, 0);
        if (request.unitId !== DEAD) return { delayMs };
        // A gateway that answers for another unit spoils each answer by its first byte, or by the seventh.
        return fault === 'silence' ? { delayMs: Infinity } : { delayMs, spoil: (answer) => answer.fill(DEAD - 1) };
      },
    });
    const options = { connectTimeoutMs: 3000, reconnectFirstMs: 100, reconnectMaxMs: 30_000 };
    this.link = new EndpointLink({ ...plainLink, ...options, endpoint }, this.deps, undefined, this.line.open);
  }

  /** Reads sixteen registers of the unit, as a source does. @returns The scans so far. */
  scan(unitId: number, scanIntervalMs: number): () => Scans {
    const { deps, clock } = this;
    const durationsMs: number[] = [];
    let begunAtMs = 0;
    let missed = 0;
    const scanner = new Scanner({ scanIntervalMs, clock, onMissed: (scans) => (missed += scans) });
    const meters = new ModbusMeters(deps.metrics, `unit-${unitId}`);
    const user = { meters, onChange: () => undefined, spareRegisters: 16 };
    this.link.join(user);
    const scanClass = new ScanClass({
      source: `unit-${unitId}`,
      unitId,
      blocks: [blockOf(Array.from({ length: 16 }, (_, address) => register(address)))],
      limits: { maxGap: 16, maxRegisters: 125, maxBits: 2000 },
      timeoutMs: TIMEOUT_MS,
      retries: 1,
      link: linkShare(this.link, user, () => undefined),
      breaker: new UnitBreaker(deps.random),
      groups: new RequestGroups(1, deps.random),
      meters,
      sink: { accept: () => durationsMs.push(clock.monotonicMs() - begunAtMs) },
      deps,
      onScanEnd: (answered) => scanner.scanEnded(answered),
      onChange: () => undefined,
    });
    scanner.start({
      begin: () => {
        begunAtMs = clock.monotonicMs();
        scanClass.begin();
      },
    });
    return () => ({
      count: durationsMs.length,
      medianMs: durationsMs.toSorted((a, b) => a - b)[durationsMs.length >>> 1] ?? NaN,
      missed,
    });
  }
}

function register(address: number): NumberedTag {
  return {
    name: `r${address}`,
    number: address,
    functionCode: 3,
    address,
    width: 1,
    meaning: { type: 'uint16', byteOrder: 'ABCD', bit: undefined, codes: { known: [], suspected: [] } },
    scale: 1,
    offset: 0,
  };
}

async function neighbours(url: string, scanIntervalMs: number, fault?: Fault): Promise<readonly Scans[]> {
  const line = new Line(parseModbusUrl(url), fault ?? 'silence');
  const scans = [1, 2, 3].map((unitId) => line.scan(unitId, scanIntervalMs));
  if (fault !== undefined) line.scan(DEAD, 500);
  line.link.start();
  await line.clock.advance(MINUTES * 60_000);
  line.link.dispose();
  return scans.map((each) => each());
}

const urls = [
  'serial:///dev/ttyUSB0?baudRate=9600',
  'rtu+tcp://10.0.0.9:4001?baudRate=9600',
  'tcp://10.0.0.9?baudRate=9600',
];
const faults: readonly Fault[] = ['silence', 'garbled answers'];

describe.each(urls.flatMap((url) => faults.map((fault) => [url, fault] as const)))(
  'on %s, a unit with only %s',
  (url, fault) => {
    test.each([
      ['takes less than 5 % of the time of neighbours that scan without a pause', 0],
      ['leaves neighbours with an interval at least 95 % of their scans, each as long as before', 500],
    ])('%s', async (_, scanIntervalMs) => {
      const alone = await neighbours(url, scanIntervalMs);
      const adjacent = await neighbours(url, scanIntervalMs, fault);
      for (const [index, { count, missed }] of alone.entries()) {
        expect(count).toBeGreaterThan(1000);
        expect(missed).toBe(0);
        expect(adjacent[index]?.count).toBeGreaterThan(count * 0.95);
      }
      // Sorted, for which of them has the first turn on the line may change.
      for (const [index, medianMs] of mediansMs(alone).entries())
        expect(mediansMs(adjacent)[index]).toBeLessThan(medianMs * 1.05);
    });
  },
);

function mediansMs(scans: readonly Scans[]): readonly number[] {
  return scans.map(({ medianMs }) => medianMs).toSorted((a, b) => a - b);
}

import * as fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { blockOf } from '../../../src/sources/modbus/plan/register-plan.ts';
import type { LinkUser, ModbusLink, PreparedRead, ReadListener } from '../../../src/sources/modbus/link/modbus-link.ts';
import { ModbusMeters } from '../../../src/sources/modbus/link/modbus-metrics.ts';
import type { NumberedTag } from '../../../src/sources/modbus/plan/read-part.ts';
import type { ReadRequest } from '../../../src/sources/modbus/frame/read-pdu.ts';
import { RequestGroups } from '../../../src/sources/modbus/scan/request-groups.ts';
import { ScanClass } from '../../../src/sources/modbus/scan/scan-class.ts';
import { UnitBreaker } from '../../../src/sources/modbus/scan/unit-breaker.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { RecordingSink } from '../../support/modbus-recording-sink.ts';
import { testDeps } from '../../support/test-deps.ts';

/** A link without delay to a device whose registers are all 7, except for the addresses that it refuses. */
class InstantLink implements ModbusLink {
  readonly refused = new Set<number>();
  /** Whether each of the next reads is refused. */
  refusals: boolean[] = [];
  readonly asked: (readonly [address: number, count: number])[] = [];
  down = false;

  start(): void {}

  prepare(request: ReadRequest, timeoutMs: number, listener: ReadListener): PreparedRead {
    return { user, request, timeoutMs, listener, frame: Buffer.alloc(0) };
  }

  submit(reads: readonly PreparedRead[]): void {
    for (const read of reads) this.#submit(read);
  }

  #submit({ request: { address, count }, listener }: PreparedRead): void {
    if (this.down) return listener.failed({ code: 'modbus-link-down', message: 'down' });
    this.asked.push([address, count]);
    const touches = [...this.refused].some((at) => address <= at && at < address + count);
    const refuses = this.refusals.shift() === true || touches;
    if (refuses) listener.refused(2);
    else listener.answered(Buffer.alloc(count * 2, Buffer.of(0, 7)), 0);
  }

  scanEnded(): void {}

  problem(): undefined {
    return undefined;
  }

  lastTickMs(): number {
    return 0;
  }

  neighbourDelayMs(): number {
    return 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

const user: LinkUser = {
  meters: new ModbusMeters(testDeps().metrics, 'plc'),
  onChange: () => undefined,
  spareRegisters: 0,
};
let clock: FakeClock;
let link: InstantLink;
let sink: RecordingSink;
let scanClass: ScanClass;

const tags = Array.from({ length: 100 }, (_, address): NumberedTag => ({
  name: `r${address}`,
  number: address,
  functionCode: 3,
  address,
  width: 1,
  meaning: { type: 'int16', byteOrder: 'ABCD', bit: undefined, codes: { known: [], suspected: [] } },
  scale: 1,
  offset: 0,
}));

beforeEach(() => {
  clock = new FakeClock();
  link = new InstantLink();
  sink = new RecordingSink();
  scanClass = scanClassOf(tags);
});

function scanClassOf(members: readonly NumberedTag[]): ScanClass {
  const deps = testDeps(clock);
  return new ScanClass({
    source: 'plc',
    unitId: 1,
    blocks: [blockOf(members)],
    limits: { maxGap: 16, maxRegisters: 125, maxBits: 2000 },
    timeoutMs: 1000,
    retries: 1,
    link,
    breaker: new UnitBreaker(deps.random),
    groups: new RequestGroups(1, deps.random),
    meters: new ModbusMeters(deps.metrics, 'plc'),
    sink,
    deps,
    onScanEnd: () => undefined,
    onChange: () => undefined,
  });
}

/** Reads that one scan makes, and the tags that are not good in it. */
function scan(): { readonly asked: readonly (readonly [number, number])[]; readonly notGood: readonly number[] } {
  link.asked.length = 0;
  scanClass.begin();
  const last = sink.scans.at(-1) ?? new Map();
  expect(last.size, 'every tag of the class is in every batch').toBe(tags.length);
  return {
    asked: [...link.asked],
    notGood: [...last].filter(([, { quality }]) => quality !== 'good').map(([number]) => number),
  };
}

describe('a register that is refused', () => {
  test('is tried again on its own after a wait, ever less often', async () => {
    link.refused.add(61);
    scan();
    const triedAtMs: number[] = [];
    for (let second = 1; second <= 60; second += 1) {
      await clock.advance(1000);
      if (scan().asked.some(([address, count]) => address === 61 && count === 1)) triedAtMs.push(clock.monotonicMs());
    }
    // Waits of 3.75, 7.5, 15 and 30 s, seen by scans that are a second apart.
    expect(triedAtMs).toEqual([4000, 12_000, 27_000, 57_000]);
  });

  test('goes back into the planned read once the device has it', async () => {
    link.refused.add(61);
    scan();
    expect(scan().asked).toEqual([
      [0, 61],
      [62, 38],
    ]);
    link.refused.clear();
    await clock.advance(4000);
    expect(scan().notGood).toEqual([]);
    expect(scan()).toEqual({ asked: [[0, 100]], notGood: [] });
  });

  test('is found within the scan that it is first refused in', () => {
    link.refused.add(0).add(99);
    expect(scan().asked.length).toBeLessThan(30);
    scan();
    expect(scan()).toEqual({ asked: [[1, 98]], notGood: [0, 99] });
  });
});

describe('a status word of which the device refuses a read', () => {
  const bit = (index: number, address = 5): NumberedTag => ({
    name: `bit${index}`,
    number: index,
    functionCode: 3,
    address,
    width: 1,
    meaning: { type: 'bool', byteOrder: 'ABCD', bit: index, codes: { known: [], suspected: [] } },
    scale: 1,
    offset: 0,
  });
  const word = Array.from({ length: 16 }, (_, index) => bit(index));

  test('is disabled as a whole and retried in one read', async () => {
    scanClass = scanClassOf([bit(16, 4), ...word]);
    link.refused.add(5);
    scanClass.begin();
    scanClass.begin();
    expect(link.asked.slice(-1)).toEqual([[4, 1]]);
    expect(scanClass.disabledParts().map(({ block }) => block.items.length)).toEqual([16]);
    link.refused.clear();
    await clock.advance(5000);
    for (let scans = 0; scans < 2; scans += 1) scanClass.begin();
    expect(link.asked.slice(-2)).toEqual([
      [5, 1],
      [4, 2],
    ]);
  });
});

test('each tag is in each scan once, and good in the end, for any refusals of any duration', async () => {
  const layout = fc.array(fc.record({ address: fc.nat(12), width: fc.integer({ min: 1, max: 4 }) }), {
    minLength: 1,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(layout, fc.array(fc.boolean(), { maxLength: 60 }), async (places, refusals) => {
      const members = places.map(({ address, width }, number): NumberedTag => ({
        name: `t${number}`,
        number,
        functionCode: 3,
        address,
        width,
        meaning: { type: 'uint16', byteOrder: 'ABCD', bit: undefined, codes: { known: [], suspected: [] } },
        scale: 1,
        offset: 0,
      }));
      const sorted = members.toSorted((a, b) => a.address - b.address);
      scanClass = scanClassOf(sorted);
      link.refusals = [...refusals];
      for (let scans = 0; scans < 70; scans += 1) {
        scanClass.begin();
        expect([...(sink.scans.at(-1)?.keys() ?? [])].toSorted((a, b) => a - b)).toEqual(members.map((_, i) => i));
        // Longer than the longest wait of a disabled tag, so that each scan sends a request.
        await clock.advance(300_001);
      }
      expect([...(sink.scans.at(-1)?.values() ?? [])].every(({ quality }) => quality === 'good')).toBe(true);
    }),
    { numRuns: 60 },
  );
});

describe('a device that refuses everything for a while', () => {
  test('gets a bounded number of requests a scan, and is read as planned afterwards', async () => {
    for (const { address } of tags) link.refused.add(address);
    for (let scans = 0; scans < 40; scans += 1) expect(scan().asked.length).toBeLessThanOrEqual(24);
    expect(scan().asked).toEqual([]);
    link.refused.clear();
    for (let scans = 0; scans < 40; scans += 1) {
      await clock.advance(1000);
      expect(scan().asked.length).toBeLessThanOrEqual(24);
    }
    expect(scan()).toEqual({ asked: [[0, 100]], notGood: [] });
  });
});

describe('a link that is down', () => {
  test('ends the scan immediately, with every tag bad', () => {
    link.down = true;
    expect(scan().notGood).toHaveLength(100);
    expect(sink.scans.at(-1)?.get(50)?.reason).toBe('link-down');
  });
});

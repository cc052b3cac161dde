import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { EndpointLink } from '../../../src/sources/modbus/link/endpoint-link.ts';
import type { LinkUser } from '../../../src/sources/modbus/link/modbus-link.ts';
import { ModbusMeters } from '../../../src/sources/modbus/link/modbus-metrics.ts';
import { type ModbusEndpoint, parseModbusUrl } from '../../../src/protocols/modbus/modbus-url.ts';
import { LateResponses } from '../../../src/sources/modbus/link/late-responses.ts';
import type { ReadFunctionCode, ReadRequest } from '../../../src/sources/modbus/frame/read-pdu.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { plainLink } from '../../support/link-options.ts';
import { SimulatedLine, type UnitConduct } from '../../support/simulated-line.ts';
import { testDeps } from '../../support/test-deps.ts';

/*
 * The invariant: an RTU frame has no reference to its request, and still no value of a response that was in transit before
 * a read is delivered as the response to that read, neither on the same connection nor on the next.
 *
 * The method: units answer in the order of the requests, after any delay up to the time that late responses are expected,
 * or never, with data, exceptions or garbage. Each register holds a number made from its address and the number of the
 * request, so that each response shows its request. The reads cover the three ways to recognise late responses: a longer
 * read, a shorter read and, for single registers, a read of another table.
 */
const TIMEOUT_MS = 100;
const READS = 120;

const conduct: fc.Arbitrary<UnitConduct> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ delayMs: 5 }) },
  { weight: 4, arbitrary: fc.record({ delayMs: fc.integer({ min: 101, max: 2500 }) }) },
  { weight: 1, arbitrary: fc.constant({ delayMs: Infinity }) },
  {
    weight: 1,
    arbitrary: fc.record({
      delayMs: fc.constantFrom(5, 120, 700),
      exceptionCode: fc.constantFrom(1, 2, 4),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      delayMs: fc.constantFrom(5, 120, 700),
      spoil: fc.constantFrom(
        (answer: Buffer) => answer.subarray(0, -1),
        (answer: Buffer) => Buffer.concat([Buffer.of(0xff), answer]),
      ),
    }),
  },
);

const asked = fc.record({
  unitId: fc.constantFrom(1, 2),
  functionCode: fc.constantFrom<ReadFunctionCode>(3, 4),
  address: fc.nat(100),
  count: fc.integer({ min: 1, max: 3 }),
  /** Pause before the read. */
  waitMs: fc.constantFrom(0, 10, 400),
});

type Asked = ReadRequest & { readonly waitMs: number };

test.each([
  ['serial:///dev/ttyUSB0', 16],
  ['serial:///dev/ttyUSB0', 0],
  ['rtu+tcp://10.0.0.9:4001', 16],
  ['rtu+tcp://10.0.0.9:4001', 0],
])('no late answer passes for another on %s, with %i registers to spare', async (url, spareRegisters) => {
  let right = 0;
  let failed = 0;
  await fc.assert(
    fc.asyncProperty(listOf(asked), listOf(conduct), async (reads, conducts) => {
      const exchange = new Exchange(url, spareRegisters, (number) => conducts[number % READS] ?? { delayMs: 5 });
      for (const [turn, read] of reads.entries()) {
        if (turn % 20 === 19) exchange.startOver(read);
        await exchange.ask(read);
      }
      expect(exchange.wrong).toEqual([]);
      right += exchange.right;
      failed += exchange.failed;
    }),
    { numRuns: 40 },
  );
  expect(right).toBeGreaterThan(4 * READS);
  expect(failed).toBeGreaterThan(2 * READS);
});

test('a read that a late refusal was taken for is still to be answered', async () => {
  const conducts: readonly UnitConduct[] = [
    { delayMs: 700, exceptionCode: 2 },
    // In flight when that refusal comes; its own answer comes into the read after the next.
    { delayMs: 400 },
    { delayMs: 5 },
    { delayMs: 5 },
  ];
  const exchange = new Exchange('serial:///dev/ttyUSB0', 16, (number) => conducts[number - 1] ?? { delayMs: 5 });
  const read = { unitId: 1, functionCode: 3, count: 1 } as const;
  await exchange.ask({ ...read, address: 0, waitMs: 0 });
  await exchange.ask({ ...read, address: 0, waitMs: 540 });
  await exchange.ask({ ...read, address: 50, count: 2, waitMs: 190 });
  expect(exchange.failed).toBe(3);
  await exchange.ask({ ...read, address: 50, count: 2, waitMs: 190 });
  expect(exchange.wrong).toEqual([]);
  expect(exchange.right).toBe(2);
});

function listOf<T>(one: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.array(one, { minLength: READS, maxLength: READS });
}

class Exchange {
  readonly wrong: string[] = [];
  right = 0;
  failed = 0;
  readonly #clock = new FakeClock();
  readonly #deps = testDeps(this.#clock);
  readonly #owed = new LateResponses(this.#clock);
  readonly #line: SimulatedLine;
  readonly #user: LinkUser;
  readonly #endpoint: ModbusEndpoint;
  #link: EndpointLink;
  #settled = false;

  constructor(url: string, spareRegisters: number, conductOf: (number: number) => UnitConduct) {
    this.#endpoint = parseModbusUrl(url);
    const meters = new ModbusMeters(this.#deps.metrics, 'plc');
    this.#user = { meters, onChange: () => undefined, spareRegisters };
    this.#line = new SimulatedLine({
      framing: 'rtu',
      clock: this.#clock,
      word: wordOf,
      conduct: (_, number) => conductOf(number),
    });
    this.#link = this.#start();
  }

  async ask({ waitMs, ...request }: Asked): Promise<void> {
    await this.#clock.advance(waitMs);
    this.#settled = false;
    const listener = {
      answered: (bytes: Buffer, offset: number) => this.#judge(request, bytes, offset),
      refused: () => void (this.#settled = true),
      failed: () => {
        this.failed += 1;
        this.#settled = true;
      },
    };
    this.#link.submit([this.#link.prepare(request, TIMEOUT_MS, listener, this.#user)]);
    for (let steps = 0; !this.#settled; steps += 1) {
      if (steps > 10_000) throw new Error('A read has no end');
      await this.#clock.advance(10);
    }
  }

  /** Reloads the configuration while the response to a read is in transit. */
  startOver({ unitId, functionCode, address, count }: Asked): void {
    const request = { unitId, functionCode, address, count };
    // A read that cannot be sent fails immediately, before the link is closed.
    const listener = { answered: tooLate, refused: tooLate, failed: () => undefined };
    this.#link.submit([this.#link.prepare(request, TIMEOUT_MS, listener, this.#user)]);
    this.#link.dispose();
    this.#link = this.#start();
  }

  #start(): EndpointLink {
    const link = new EndpointLink({ ...plainLink, endpoint: this.#endpoint }, this.#deps, this.#owed, this.#line.open);
    link.join(this.#user);
    link.start();
    return link;
  }

  #judge({ address, count }: ReadRequest, bytes: Buffer, offset: number): void {
    const last = this.#line.requests.length;
    for (let index = 0; index < count; index += 1) {
      const word = bytes.readUInt16BE(offset + index * 2);
      if (word === wordOf(address + index, last)) this.right += 1;
      else this.wrong.push(`register ${address + index} in answer to request ${last}: ${word}`);
    }
    this.#settled = true;
  }
}

function wordOf(address: number, number: number): number {
  return (address * 257 + number * 13) & 0xffff;
}

function tooLate(): void {
  throw new Error('A closed link calls no listener');
}

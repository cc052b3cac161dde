import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ModbusLink, PreparedRead } from '../../../src/sources/modbus/link/modbus-link.ts';
import { ModbusMeters } from '../../../src/sources/modbus/link/modbus-metrics.ts';
import { LinkPool } from '../../../src/sources/modbus/link/link-pool.ts';
import { parseModbusUrl } from '../../../src/protocols/modbus/modbus-url.ts';
import { plainLink } from '../../support/link-options.ts';
import { ModbusRawServer, type ServedRequest } from '../../support/modbus-raw-server.ts';
import { testDeps } from '../../support/test-deps.ts';

/*
 * The invariant: a delivered value is the value in the device's response to that request.
 *
 * The method: every response is unique, because each register holds a number made from its address and the number of the
 * request. Responses are then corrupted in every way that the link can detect, over real sockets, thousands of times;
 * delivered values are compared with the last request sent. Flipped bits in the data are excluded: Modbus TCP has only
 * TCP's checksum.
 */
type Spoiling =
  | { readonly kind: 'none' }
  | { readonly kind: 'flip'; readonly bit: number }
  | { readonly kind: 'insert' | 'prepend' | 'append'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'delete'; readonly at: number; readonly count: number }
  | { readonly kind: 'noise'; readonly bytes: Uint8Array }
  | { readonly kind: 'twice' }
  | { readonly kind: 'earlier'; readonly back: number }
  | { readonly kind: 'earlier-too'; readonly back: number }
  | { readonly kind: 'exception'; readonly code: number }
  | { readonly kind: 'late' };

const someBytes = fc.uint8Array({ minLength: 1, maxLength: 40 });
const spoiling: fc.Arbitrary<Spoiling> = fc.oneof(
  { weight: 20, arbitrary: fc.constant<Spoiling>({ kind: 'none' }) },
  { weight: 30, arbitrary: fc.record({ kind: fc.constant('flip' as const), bit: fc.nat(71) }) },
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constantFrom('insert' as const, 'prepend' as const, 'append' as const),
      at: fc.nat(300),
      bytes: someBytes,
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('noise' as const), bytes: someBytes }) },
  { weight: 8, arbitrary: fc.constant<Spoiling>({ kind: 'twice' }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('earlier' as const, 'earlier-too' as const),
      back: fc.integer({ min: 1, max: 20 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('exception' as const), code: fc.nat(255) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      at: fc.nat(300),
      count: fc.integer({ min: 1, max: 10 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Spoiling>({ kind: 'late' }) },
);

const READS = 4000;
const TIMEOUT_MS = 25;

test('of thousands of spoilt answers, none is handed over with a wrong value', async () => {
  const seed = Date.now() % 2 ** 31;
  const spoilings = fc.sample(spoiling, { numRuns: READS, seed });
  await using device = await ModbusRawServer.listen();
  const served: Buffer[] = [];
  device.faults.mutate = (answer, request) => {
    stampData(answer, request, device.requests.length);
    served.push(Buffer.from(answer));
    return [spoil(answer, spoilings[served.length - 1] ?? { kind: 'none' }, served)];
  };
  device.faults.delayMs = () => (spoilings[served.length - 1]?.kind === 'late' ? 2 * TIMEOUT_MS : 0);

  const deps = testDeps();
  await using link = LinkPool.of(deps).share(
    {
      endpoint: parseModbusUrl(device.url),
      ...plainLink,
      reconnectFirstMs: 1,
      reconnectMaxMs: 1,
    },
    { meters: new ModbusMeters(deps.metrics, 'fuzz'), onChange: () => undefined, spareRegisters: 0 },
  );
  const outcome = await readOverAndOver(link, device);
  expect(outcome.wrong, `seed ${seed}`).toEqual([]);
  expect(outcome.right).toBeGreaterThan(READS / 10);
  expect(outcome.failed).toBeGreaterThan(READS / 4);
});

/** Reads four blocks in turn until the device has served enough; each failure waits for the next turn of the loop. */
function readOverAndOver(
  link: ModbusLink,
  device: ModbusRawServer,
): Promise<{ right: number; failed: number; wrong: string[] }> {
  const outcome = { right: 0, failed: 0, wrong: [] as string[] };
  const counts = [1, 10, 60, 125];
  return new Promise((resolve) => {
    let turn = 0;
    const reads: PreparedRead[] = counts.map((count, index) =>
      link.prepare({ unitId: 1, functionCode: 3, address: index * 200, count }, TIMEOUT_MS, {
        answered: (bytes, offset) => {
          const last = device.requests.at(-1);
          for (let register = 0; register < count; register += 1) {
            const expected = registerValue(index * 200 + register, device.requests.length);
            const value = bytes.readUInt16BE(offset + register * 2);
            if (value !== expected || last?.address !== index * 200)
              outcome.wrong.push(`request ${device.requests.length}, register ${register}: ${value}, not ${expected}`);
          }
          outcome.right += 1;
          next();
        },
        refused: () => next(),
        failed: () => {
          outcome.failed += 1;
          setImmediate(next);
        },
      }),
    );
    const next = (): void => {
      if (device.requests.length >= READS) return resolve(outcome);
      turn = (turn + 1) % reads.length;
      const read = reads[turn];
      if (read !== undefined) link.submit([read]);
    };
    link.start();
    next();
  });
}

function registerValue(address: number, requestNumber: number): number {
  return (address * 257 + requestNumber * 13) & 0xffff;
}

function stampData(answer: Buffer, request: ServedRequest, requestNumber: number): void {
  for (let register = 0; register < request.count; register += 1)
    answer.writeUInt16BE(registerValue(request.address + register, requestNumber), 9 + register * 2);
}

function spoil(answer: Buffer, how: Spoiling, served: readonly Buffer[]): Buffer {
  switch (how.kind) {
    case 'none':
    case 'late':
      return answer;
    case 'flip':
      answer[how.bit >>> 3] = (answer[how.bit >>> 3] ?? 0) ^ (1 << (how.bit & 7));
      return answer;
    case 'insert': {
      const at = how.at % answer.length;
      return Buffer.concat([answer.subarray(0, at), how.bytes, answer.subarray(at)]);
    }
    case 'prepend':
      return Buffer.concat([how.bytes, answer]);
    case 'append':
      return Buffer.concat([answer, how.bytes]);
    case 'delete': {
      const at = how.at % answer.length;
      return Buffer.concat([answer.subarray(0, at), answer.subarray(at + how.count)]);
    }
    case 'noise':
      return Buffer.from(how.bytes);
    case 'twice':
      return Buffer.concat([answer, answer]);
    case 'earlier':
      return served.at(-1 - how.back) ?? Buffer.of(0);
    case 'earlier-too':
      return Buffer.concat([served.at(-1 - how.back) ?? Buffer.of(0), answer]);
    case 'exception':
      return Buffer.concat([answer.subarray(0, 4), Buffer.of(0, 3, 1, 0x83, how.code)]);
  }
}

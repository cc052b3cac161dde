import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Clock, Timer } from '../../../src/platform/clock.ts';
import type { Framing } from '../../../src/sources/modbus/frame/framing.ts';
import { tolerantAsciiFraming } from '../../../src/sources/modbus/frame/ascii-frame.ts';
import { mbapFraming, mbapFramingWithoutIds } from '../../../src/sources/modbus/frame/mbap-frame.ts';
import { ModbusClient } from '../../../src/sources/modbus/link/modbus-client.ts';
import type { PreparedRead } from '../../../src/sources/modbus/link/modbus-link.ts';
import { ModbusMeters } from '../../../src/sources/modbus/link/modbus-metrics.ts';
import { answerDataBytes, type ReadRequest } from '../../../src/sources/modbus/frame/read-pdu.ts';
import { rtuFraming, tolerantRtuFraming } from '../../../src/sources/modbus/frame/rtu-frame.ts';
import type { Transport, TransportListener } from '../../../src/sources/modbus/link/transport.ts';
import { seededRandom } from '../../../src/plant/seeded-random.ts';
import { withChecksum } from '../../support/modbus-raw-server.ts';
import { testDeps } from '../../support/test-deps.ts';

/*
 * The invariant: for any received bytes, a delivered value is the value in the device's response to that request; and two
 * timeouts after the last corrupted response, valid responses are accepted again.
 *
 * The method: the real client on a simulated transport and clock, so that a million responses take seconds. Each response
 * carries the number of its request. Only detectable faults are made: flipped bits anywhere with RTU's checksum, flipped
 * bits in the header over TCP.
 */
/** Number of corrupted responses for one framing; the valid ones between them are additional. */
const ANSWERS = 400_000;
const CHUNKS = 100;
const TIMEOUT_MS = 100;
const QUIET_MS = 150;

test.each([
  ['Modbus TCP', mbapFraming, 'reconnect', ANSWERS, 1],
  ['Modbus TCP, 8 requests in flight', mbapFraming, 'reconnect', ANSWERS, 8],
  ['Modbus TCP without transaction ids', mbapFramingWithoutIds, 'reconnect', ANSWERS / 4, 1],
  ['RTU, strict', rtuFraming, 'quiet', ANSWERS / 4, 1],
  ['RTU, tolerant', tolerantRtuFraming, 'quiet', ANSWERS, 1],
  ['RTU over TCP, tolerant', tolerantRtuFraming, 'reconnect', ANSWERS / 4, 1],
  ['ASCII, tolerant', tolerantAsciiFraming, 'quiet', ANSWERS / 4, 1],
] as const)(
  'of the spoilt answers over %s none is taken for a good one',
  async (_, framing, recovery, answers, inFlight) => {
    const outcome = { wrong: 0, right: 0, failed: 0, slowestMs: 0 };
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const line = new Line(framing, recovery, seededRandom(seed), inFlight);
        await line.exchange(((answers / CHUNKS) * 4) / 3);
        outcome.wrong += line.wrong;
        outcome.right += line.right;
        outcome.failed += line.failed;
        outcome.slowestMs = Math.max(outcome.slowestMs, line.slowestRecoveryMs);
        expect(line.wrong).toBe(0);
        expect(line.slowestRecoveryMs).toBeLessThanOrEqual(2 * TIMEOUT_MS);
      }),
      { numRuns: CHUNKS, endOnFailure: true },
    );
    expect(outcome.failed).toBeGreaterThan(answers / 3);
    expect(outcome.right).toBeGreaterThan(answers / 20);
  },
  120_000,
);

/** A clock that a test moves on, without a turn of the event loop. */
class SteppedClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Map<object, { readonly dueMs: number; readonly callback: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const key = {};
    this.#timers.set(key, { dueMs: this.#nowMs + delayMs, callback });
    return { cancel: () => this.#timers.delete(key) };
  }

  /** To the next timer, which fires. */
  step(): void {
    let next: readonly [object, { readonly dueMs: number; readonly callback: () => void }] | undefined;
    for (const entry of this.#timers) if (next === undefined || entry[1].dueMs < next[1].dueMs) next = entry;
    if (next === undefined) throw new Error('No read is waiting');
    this.#timers.delete(next[0]);
    this.#nowMs = Math.max(this.#nowMs, next[1].dueMs);
    next[1].callback();
  }
}

class Line {
  wrong = 0;
  right = 0;
  failed = 0;
  slowestRecoveryMs = 0;
  readonly #framing: Framing;
  readonly #recovery: 'reconnect' | 'quiet';
  readonly #random: () => number;
  readonly #inFlight: number;
  readonly #clock = new SteppedClock();
  readonly #user = {
    meters: new ModbusMeters(testDeps().metrics, 'fuzz'),
    onChange: () => undefined,
    spareRegisters: 0,
  };
  #client: ModbusClient | undefined;
  #listener: TransportListener | undefined;
  #transactionId = 0;
  #number = 0;
  #groups = 0;
  /** Requests without a result, each with its number and its transaction id. */
  readonly #open = new Map<ReadRequest, { readonly number: number; readonly transactionId: number }>();
  #faultAtMs: number | undefined;
  #lastAnswer: Buffer = Buffer.of(0);

  /** @param inFlight Most requests of a group. */
  constructor(framing: Framing, recovery: 'reconnect' | 'quiet', random: () => number, inFlight: number) {
    this.#framing = framing;
    this.#recovery = recovery;
    this.#random = random;
    this.#inFlight = inFlight;
  }

  async exchange(answers: number): Promise<void> {
    while (this.#number < answers) {
      while (this.#client?.idle !== true) this.#makeReady();
      // Every fourth group is proper, and must be taken.
      this.#groups += 1;
      const proper = this.#groups % 4 === 0;
      const reads = Array.from({ length: 1 + this.#below(this.#inFlight) }, () => this.#nextRead());
      this.#client.send(reads);
      const frames = this.#shuffled(reads.map(({ request }) => this.#answerTo(request)));
      const unspoilt = Buffer.from(frames.at(-1) ?? Buffer.of(0));
      for (const piece of proper ? this.#pieces(frames) : this.#spoilOne(frames))
        this.#listener?.onBytes(piece, piece.length);
      this.#lastAnswer = unspoilt;
      if (proper && this.#open.size > 0) throw new Error('A proper answer was not taken');
      while (this.#open.size > 0) {
        this.#clock.step();
        // oxlint-disable-next-line no-await-in-loop -- the client looks once more after a deadline
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  /** Sometimes the device answers in another order. */
  #shuffled(answers: readonly Buffer[]): readonly Buffer[] {
    return this.#below(4) > 0 ? answers : answers.toSorted(() => this.#below(3) - 1);
  }

  /** The stream of several answers arrives cut anywhere. */
  #pieces(answers: readonly Buffer[]): readonly Buffer[] {
    const stream = Buffer.concat(answers);
    const at = answers.length === 1 ? 0 : this.#below(stream.length);
    return [stream.subarray(0, at), stream.subarray(at)].filter(({ length }) => length > 0);
  }

  #spoilOne(answers: readonly Buffer[]): readonly Buffer[] {
    const index = this.#below(answers.length);
    return answers.flatMap((answer, at) => (at === index ? this.#spoil(answer) : [answer]));
  }

  #makeReady(): void {
    if (this.#client !== undefined) return this.#clock.step();
    const transport: Transport = {
      open: (listener) => (this.#listener = listener),
      write: () => undefined,
      discardInput: (discarded) => discarded(),
      destroy: () => undefined,
    };
    this.#client = new ModbusClient(
      {
        transport,
        framing: this.#framing,
        name: 'device',
        connectTimeoutMs: 1000,
        clock: this.#clock,
        nextTransactionId: () => (this.#transactionId = (this.#transactionId + 1) & 0xffff),
        pauseMs: 0,
        wireMs: () => 0,
        recovery: this.#recovery,
        quietMs: QUIET_MS,
        startQuietMs: 0,
      },
      {
        onConnected: () => undefined,
        onReady: () => undefined,
        onAnswer: (read, bytes, offset) => this.#judge(read.request, bytes, offset),
        onException: ({ request }) => this.#open.delete(request),
        onUnsolicitedFrame: () => undefined,
        onFault: (_, reads) => this.#onFault(reads),
        onEnd: (_, reads) => {
          this.#client = undefined;
          this.#onFault(reads);
        },
      },
    );
    this.#client.connect();
    this.#listener?.onOpen();
  }

  #nextRead(): PreparedRead {
    this.#number += 1;
    const count = 1 + this.#below(40);
    const request: ReadRequest = { unitId: 1 + this.#below(3), functionCode: 3, address: this.#below(1000), count };
    this.#open.set(request, {
      number: this.#number,
      transactionId: (this.#transactionId + this.#open.size + 1) & 0xffff,
    });
    const listener = { answered: () => undefined, refused: () => undefined, failed: () => undefined };
    const frame = this.#framing.requestFrame(request);
    return { user: this.#user, request, timeoutMs: TIMEOUT_MS, listener, frame };
  }

  #judge(request: ReadRequest, bytes: Buffer, offset: number): void {
    let right = true;
    for (let index = 0; index < request.count; index += 1)
      right &&= bytes.readUInt16BE(offset + index * 2) === this.#value(request, index);
    if (right) {
      this.right += 1;
      if (this.#faultAtMs !== undefined)
        this.slowestRecoveryMs = Math.max(this.slowestRecoveryMs, this.#clock.monotonicMs() - this.#faultAtMs);
      this.#faultAtMs = undefined;
    } else this.wrong += 1;
    this.#open.delete(request);
  }

  #onFault(reads: readonly PreparedRead[]): void {
    this.failed += Math.max(1, reads.length);
    this.#faultAtMs = this.#clock.monotonicMs();
    for (const { request } of reads) this.#open.delete(request);
  }

  #answerTo(request: ReadRequest): Buffer {
    const data = Buffer.alloc(answerDataBytes(request));
    for (let index = 0; index < request.count; index += 1) data.writeUInt16BE(this.#value(request, index), index * 2);
    const body = Buffer.concat([Buffer.of(request.unitId, request.functionCode, data.length), data]);
    if (this.#isAscii) return asciiFrame(body);
    if (!this.#isTcp) return withChecksum(body);
    const header = Buffer.alloc(6);
    header.writeUInt16BE(this.#open.get(request)?.transactionId ?? 0, 0);
    header.writeUInt16BE(body.length, 4);
    return Buffer.concat([header, body]);
  }

  get #isTcp(): boolean {
    return this.#framing === mbapFraming || this.#framing === mbapFramingWithoutIds;
  }

  get #isAscii(): boolean {
    return this.#framing === tolerantAsciiFraming;
  }

  /** Made from the address and from the number of the request. */
  #value(request: ReadRequest, index: number): number {
    return ((request.address + index) * 257 + (this.#open.get(request)?.number ?? 0) * 13) & 0xffff;
  }

  /** @returns Pieces in the order of their arrival. */
  #spoil(answer: Buffer): readonly Buffer[] {
    // Bytes covered by a checksum; over TCP a flipped bit in the data cannot be detected.
    const reach = this.#isTcp ? 9 : answer.length;
    switch (this.#below(10)) {
      case 0:
      case 1:
      case 2:
        // The checksum of ASCII has 8 bits; it detects every single flipped bit.
        for (let flips = this.#isAscii ? 1 : 1 + this.#below(3); flips > 0; flips -= 1) this.#flip(answer, reach);
        return [answer];
      case 3:
        this.#flip(answer, reach);
        return [...answer].map((byte) => Buffer.of(byte));
      case 4:
        return [Buffer.concat([this.#noise(), answer])];
      case 5:
        return [Buffer.concat([answer, this.#noise()])];
      case 6: {
        const at = this.#below(answer.length);
        return [Buffer.concat([answer.subarray(0, at), this.#noise(), answer.subarray(at)])];
      }
      case 7:
        // Rarely, for each costs a deadline.
        return this.#below(20) === 0 ? [answer.subarray(0, this.#below(answer.length))] : [this.#noise(), answer];
      case 8:
        return this.#framing.hasTransactionId ? [this.#lastAnswer] : [Buffer.concat([this.#lastAnswer, answer])];
      default:
        return [Buffer.concat([answer, answer])];
    }
  }

  #flip(bytes: Buffer, reach: number): void {
    const bit = this.#below(reach * 8);
    bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
  }

  #noise(): Buffer {
    return Buffer.from(Array.from({ length: 1 + this.#below(12) }, () => this.#below(256)));
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

function asciiFrame(body: Buffer): Buffer {
  const sum = body.reduce((total, byte) => total + byte, 0);
  return Buffer.from(
    `:${body.toString('hex')}${(-sum & 0xff).toString(16).padStart(2, '0')}\r\n`.toUpperCase(),
    'latin1',
  );
}

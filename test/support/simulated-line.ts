import { mbapFraming } from '../../src/sources/modbus/frame/mbap-frame.ts';
import { answerDataBytes, type ReadFunctionCode, type ReadRequest } from '../../src/sources/modbus/frame/read-pdu.ts';
import { rtuFraming } from '../../src/sources/modbus/frame/rtu-frame.ts';
import type { Transport, TransportListener } from '../../src/sources/modbus/link/transport.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { withChecksum } from './modbus-raw-server.ts';

/** Reaction of the units on the line to one request. */
export type UnitConduct = {
  /** From the request to the answer; Infinity never answers. */
  readonly delayMs: number;
  /** 0 answers with data. */
  readonly exceptionCode?: number;
  /** Bytes to send in place of the answer. */
  readonly spoil?: (answer: Buffer) => Buffer;
};

export type LineOptions = {
  readonly framing: 'mbap' | 'rtu';
  readonly clock: Clock;
  readonly conduct: (request: ReadRequest, number: number) => UnitConduct;
  /** Word at an address, in answer to the request of that number. */
  readonly word: (address: number, number: number) => number;
};

/**
 * Units on a line, in a time that a test moves: as a serial slave does, each answers what it was asked in that order, however
 * late, to the client that is connected then. Throws for any request other than a read.
 */
export class SimulatedLine {
  readonly requests: (ReadRequest & { readonly atMs: number })[] = [];
  openings = 0;
  readonly #options: LineOptions;
  /** When each unit is done with what it was asked so far. */
  readonly #busyUntilMs = new Map<number, number>();
  #listener: TransportListener | undefined;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  readonly open = (): Transport => {
    this.openings += 1;
    let mine: TransportListener | undefined;
    return {
      open: (listener) => {
        mine = listener;
        this.#listener = listener;
        listener.onOpen();
      },
      write: (bytes) => this.#ask(Buffer.from(bytes)),
      discardInput: (discarded) => discarded(),
      destroy: () => {
        if (this.#listener === mine) this.#listener = undefined;
      },
    };
  };

  /** Bytes that come out of nowhere. */
  receive(bytes: Buffer): void {
    this.#listener?.onBytes(bytes, bytes.length);
  }

  #ask(frame: Buffer): void {
    const { clock, conduct } = this.#options;
    const request = this.#requestIn(frame);
    const nowMs = clock.monotonicMs();
    this.requests.push({ ...request, atMs: nowMs });
    const number = this.requests.length;
    const { delayMs, exceptionCode = 0, spoil = (answer) => answer } = conduct(request, number);
    if (delayMs === Infinity) return;
    const doneMs = Math.max(this.#busyUntilMs.get(request.unitId) ?? 0, nowMs + delayMs);
    this.#busyUntilMs.set(request.unitId, doneMs);
    const answer = spoil(this.#answer(frame, request, number, exceptionCode));
    clock.setTimer(() => this.receive(answer), doneMs - nowMs);
  }

  #requestIn(frame: Buffer): ReadRequest {
    const at = this.#options.framing === 'rtu' ? 0 : 6;
    const functionCode = frame.readUInt8(at + 1);
    if (functionCode < 1 || functionCode > 4) throw new Error(`Function ${functionCode} is not a read`);
    const request: ReadRequest = {
      unitId: frame.readUInt8(at),
      functionCode: functionCode as ReadFunctionCode,
      address: frame.readUInt16BE(at + 2),
      count: frame.readUInt16BE(at + 4),
    };
    const framing = this.#options.framing === 'rtu' ? rtuFraming : mbapFraming;
    const proper = framing.requestFrame(request);
    framing.stamp(proper, at === 0 ? 0 : frame.readUInt16BE(0));
    if (!proper.equals(frame)) throw new Error(`No frame of a read: ${frame.toString('hex')}`);
    return request;
  }

  #answer(asked: Buffer, request: ReadRequest, number: number, exceptionCode: number): Buffer {
    const data = Buffer.alloc(answerDataBytes(request));
    for (let index = 0; index * 2 + 1 < data.length; index += 1)
      data.writeUInt16BE(this.#options.word(request.address + index, number), index * 2);
    const { unitId, functionCode } = request;
    const body =
      exceptionCode === 0
        ? Buffer.concat([Buffer.of(unitId, functionCode, data.length), data])
        : Buffer.of(unitId, functionCode | 0x80, exceptionCode);
    if (this.#options.framing === 'rtu') return withChecksum(body);
    const header = Buffer.alloc(6);
    header.writeUInt16BE(asked.readUInt16BE(0), 0);
    header.writeUInt16BE(body.length, 4);
    return Buffer.concat([header, body]);
  }
}

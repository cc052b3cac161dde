import { type AnswerCheck, type AnswerFault, fault, type Framing, isFault } from '../frame/framing.ts';
import type { PreparedRead } from './modbus-link.ts';

/** Room for one response; more than any Modbus TCP frame has. */
const ANSWER_BYTES = 300;

/** A response that was checked against its request. */
export type CheckedAnswer = {
  readonly read: PreparedRead;
  readonly check: Exclude<AnswerCheck, AnswerFault>;
  /** Time since the request or the response before it, whichever came later. */
  readonly durationMs: number;
};

/**
 * Responses to requests that are in flight together. They may arrive in any order and cut anywhere. None is used before
 * all are complete: bytes that a gateway adds to the data of a response show only in the header of the next one.
 */
export class AnswerGroup {
  readonly #framing: Framing;
  /** Requests without a response, by transaction id. */
  readonly #missing: Map<number, PreparedRead>;
  readonly #answers: CheckedAnswer[] = [];
  readonly #bytes: Buffer;
  #length = 0;
  /** Offset after the last complete response. */
  #from = 0;
  #sinceMs: number;

  constructor(
    framing: Framing,
    requests: readonly (readonly [transactionId: number, read: PreparedRead])[],
    nowMs: number,
  ) {
    this.#framing = framing;
    this.#missing = new Map(requests);
    this.#bytes = Buffer.allocUnsafe(requests.length * ANSWER_BYTES);
    this.#sinceMs = nowMs;
  }

  /** Number of requests without a response. */
  get missing(): number {
    return this.#missing.size;
  }

  /** The responses in the order of their arrival. Their bytes are not used again. */
  get answers(): readonly CheckedAnswer[] {
    return this.#answers;
  }

  /** Bytes after the last complete response. */
  get rest(): Buffer {
    return this.#bytes.subarray(this.#from, this.#length);
  }

  /** Adds received bytes. @returns A fault of the first response that has one. */
  add(chunk: Buffer, length: number, nowMs: number): AnswerFault | undefined {
    const copied = chunk.copy(this.#bytes, this.#length, 0, length);
    this.#length += copied;
    while (this.#missing.size > 0) {
      const header = this.#framing.header?.(this.#bytes, this.#from, this.#length);
      if (header === undefined) return undefined;
      const read = this.#missing.get(header.transactionId);
      if (read === undefined) return this.#unknownId(header.transactionId);
      const bytes = this.#bytes.subarray(this.#from, Math.min(header.end, this.#length));
      const check = this.#framing.check(bytes, bytes.length, header.transactionId, read.request);
      if (isFault(check)) return check;
      if (check.kind === 'incomplete') return undefined;
      this.#missing.delete(header.transactionId);
      this.#answers.push({ read, check, durationMs: nowMs - this.#sinceMs });
      this.#sinceMs = nowMs;
      this.#from = header.end;
    }
    const extra = this.#length - this.#from + length - copied;
    return extra === 0 ? undefined : fault('bytes-after-the-frame', 'none', extra);
  }

  #unknownId(found: number): AnswerFault {
    return fault('wrong-transaction-id', `one of ${[...this.#missing.keys()].join(', ')}`, found);
  }
}

import type { Clock } from '../../../platform/clock.ts';
import type { ReadRequest } from '../frame/read-pdu.ts';
import { answerDataBytes, readFunctionCodes, readsBits } from '../frame/read-pdu.ts';

/** How long after a fault an answer to the read is reckoned with: as many of its timeouts, and no less than this. */
const TIMEOUTS = 10;
const OWED_MS_MIN = 10_000;
const REGISTERS_MAX = 125;
const BITS_MAX = 2000;
const BITS_PER_BYTE = 8;
const BITS_PER_REGISTER = 16;
const ADDRESSES = 65_536;
const SHAPES_PER_FUNCTION = 1000;

/** What tells an answer from another where there is no transaction id: function code and length. */
type Shape = number;

/**
 * Answers that units still owe. One that comes after its deadline would pass for the answer to a later read of the same
 * unit, function code and length, on a framing without transaction ids; so while it may come, nothing of that shape is
 * asked of the unit.
 */
export class OwedAnswers {
  readonly #clock: Clock;
  /** Until when, by unit and shape. */
  readonly #untilMs = new Map<number, Map<Shape, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The read got no proper answer. */
  add(request: ReadRequest, timeoutMs: number): void {
    const shapes = this.#untilMs.get(request.unitId) ?? new Map<Shape, number>();
    this.#untilMs.set(request.unitId, shapes);
    shapes.set(shapeOf(request), this.#clock.monotonicMs() + Math.max(OWED_MS_MIN, TIMEOUTS * timeoutMs));
  }

  /** Forgets what is overdue. @returns Whether the unit owes anything. */
  owedBy(unitId: number): boolean {
    const shapes = this.#untilMs.get(unitId);
    if (shapes === undefined) return false;
    const nowMs = this.#clock.monotonicMs();
    for (const [shape, untilMs] of shapes) if (untilMs <= nowMs) shapes.delete(shape);
    if (shapes.size === 0) this.#untilMs.delete(unitId);
    return shapes.size > 0;
  }

  /** Whether anything is owed, by whomever. */
  owedByAny(): boolean {
    return [...this.#untilMs.keys()].some((unitId) => this.owedBy(unitId));
  }

  /** The unit owes nothing any more. */
  settle(unitId: number): void {
    this.#untilMs.delete(unitId);
  }

  /** Whether an answer that is still owed could pass for the answer to this read. */
  #isAmbiguous(request: ReadRequest): boolean {
    return this.#untilMs.get(request.unitId)?.has(shapeOf(request)) === true;
  }

  /**
   * A read that begins like this one and that no owed answer looks like: itself, or one that goes on past its end.
   *
   * @param spareRegisters Most registers that may be read beyond; 16 times as many bits.
   * @returns Undefined where there is none.
   */
  unambiguous(request: ReadRequest, spareRegisters: number): ReadRequest | undefined {
    const isBits = readsBits(request.functionCode);
    const step = isBits ? BITS_PER_BYTE : 1;
    const most = Math.min(
      request.count + spareRegisters * (isBits ? BITS_PER_REGISTER : 1),
      isBits ? BITS_MAX : REGISTERS_MAX,
      ADDRESSES - request.address,
    );
    for (let count = request.count; count <= most; count += step)
      if (!this.#isAmbiguous({ ...request, count })) return { ...request, count };
    return undefined;
  }

  /** A shorter read at the same place, which no owed answer looks like; undefined where there is none. */
  shorter(request: ReadRequest): ReadRequest | undefined {
    const step = readsBits(request.functionCode) ? BITS_PER_BYTE : 1;
    for (let count = request.count - step; count > 0; count -= step)
      if (!this.#isAmbiguous({ ...request, count })) return { ...request, count };
    return undefined;
  }

  /**
   * A read in another table, with a function code under which the unit owes nothing: any answer to it, even that it is
   * refused, is told by that code from all that is owed. Undefined where something is owed under every code.
   */
  inOtherTable(request: ReadRequest): ReadRequest | undefined {
    const owing = new Set(Array.from(this.#untilMs.get(request.unitId)?.keys() ?? [], functionCodeOf));
    const functionCode = Object.values(readFunctionCodes).findLast((code) => !owing.has(code));
    return functionCode === undefined ? undefined : { ...request, functionCode, count: 1 };
  }
}

function shapeOf(request: ReadRequest): Shape {
  return request.functionCode * SHAPES_PER_FUNCTION + answerDataBytes(request);
}

function functionCodeOf(shape: Shape): number {
  return Math.floor(shape / SHAPES_PER_FUNCTION);
}

import type { Clock } from '../../../platform/clock.ts';
import { answerDataBytes, countMax, type ReadRequest, readsBits } from '../frame/read-pdu.ts';

/** A late response is expected for this many timeouts after a fault, and for at least LATE_MS_MIN. */
const TIMEOUTS = 10;
const LATE_MS_MIN = 10_000;
const BITS_PER_BYTE = 8;
const BITS_PER_REGISTER = 16;
const ADDRESSES = 65_536;
const SHAPES_PER_FUNCTION = 1000;

/** Function code and length of a response: all that tells two responses apart without a transaction id. */
type Shape = number;

/**
 * Late responses that units may still send. Without transaction ids, a response that arrives after its deadline looks
 * like the response to a later read of the same unit, function code and length. While it may arrive, andon sends the
 * unit no request with that shape.
 */
export class LateResponses {
  readonly #clock: Clock;
  /** Expiry times by unit and shape, monotonic. */
  readonly #untilMs = new Map<number, Map<Shape, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Records a read without a valid response. */
  add(request: ReadRequest, timeoutMs: number): void {
    const shapes = this.#untilMs.get(request.unitId) ?? new Map<Shape, number>();
    this.#untilMs.set(request.unitId, shapes);
    shapes.set(shapeOf(request), this.#clock.monotonicMs() + Math.max(LATE_MS_MIN, TIMEOUTS * timeoutMs));
  }

  /** Removes expired entries. @returns True if the unit may still send a late response. */
  outstandingFor(unitId: number): boolean {
    const shapes = this.#untilMs.get(unitId);
    if (shapes === undefined) return false;
    const nowMs = this.#clock.monotonicMs();
    for (const [shape, untilMs] of shapes) if (untilMs <= nowMs) shapes.delete(shape);
    if (shapes.size === 0) this.#untilMs.delete(unitId);
    return shapes.size > 0;
  }

  /** Returns true if any unit may still send a late response. */
  outstandingForAny(): boolean {
    return [...this.#untilMs.keys()].some((unitId) => this.outstandingFor(unitId));
  }

  /** Records that no late response of the unit is outstanding. */
  settle(unitId: number): void {
    this.#untilMs.delete(unitId);
  }

  /** Returns true if a late response could be taken for the response to this read. */
  #isAmbiguous(request: ReadRequest): boolean {
    return this.#untilMs.get(request.unitId)?.has(shapeOf(request)) === true;
  }

  /**
   * Returns a read with the same start whose response differs from every late one: the read itself or a longer one.
   *
   * @param spareRegisters Maximum number of extra registers; 16 times as many bits.
   * @returns Undefined if there is none.
   */
  unambiguous(request: ReadRequest, spareRegisters: number): ReadRequest | undefined {
    const isBits = readsBits(request.functionCode);
    const step = isBits ? BITS_PER_BYTE : 1;
    const most = Math.min(
      request.count + spareRegisters * (isBits ? BITS_PER_REGISTER : 1),
      countMax(request),
      ADDRESSES - request.address,
    );
    for (let count = request.count; count <= most; count += step)
      if (!this.#isAmbiguous({ ...request, count })) return { ...request, count };
    return undefined;
  }

  /** Returns a shorter read with the same start whose response differs from every late one; undefined if there is none. */
  shorter(request: ReadRequest): ReadRequest | undefined {
    const step = readsBits(request.functionCode) ? BITS_PER_BYTE : 1;
    for (let count = request.count - step; count > 0; count -= step)
      if (!this.#isAmbiguous({ ...request, count })) return { ...request, count };
    return undefined;
  }
}

function shapeOf(request: ReadRequest): Shape {
  return request.functionCode * SHAPES_PER_FUNCTION + answerDataBytes(request);
}

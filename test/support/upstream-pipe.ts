import type { ConnectionState, UplinkTransport } from '../../src/contracts/uplink.ts';
import type { RecordBatch } from '../../src/domain/record/record-batch.ts';
import type { StoredRecord } from '../../src/domain/record/record.ts';
import { InvariantError } from '../../src/platform/errors.ts';
import { recordsIn } from './batch-records.ts';
import { UplinkError } from '../../src/uplinks/uplink-errors.ts';

/** Result of the oldest batch on the line. */
export type PipeFate =
  | 'stored'
  /** The connection is lost before the batch arrives; all that was on the line is lost with it. */
  | 'lost'
  /** The batch arrives, and the connection is lost before the acknowledgement. */
  | 'stored-and-lost'
  | 'refused'
  | 'too-large';

type OnTheLine = {
  readonly records: readonly StoredRecord[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
};

/** One connection to a receiver, in memory: batches arrive and are answered in the order they were sent. */
export class UpstreamPipe implements UplinkTransport {
  /** Taken from the front, one for each batch; 'stored' if it is empty. */
  readonly fates: PipeFate[] = [];
  /** Every record that arrived, in order, including repeats. */
  readonly arrived: StoredRecord[] = [];
  /** Sizes of the batches in the order they were sent. */
  readonly batches: number[] = [];
  /** While true, batches stay on the line. */
  holds = false;
  /** Calls `listener` with each state that the test sets. */
  setState: (state: ConnectionState) => void = () => undefined;
  /** Delay that a lost connection requests; undefined for none. */
  retryAfterMs: number | undefined;
  inFlightMost = 0;
  disposed = 0;
  readonly #line: OnTheLine[] = [];
  #moving = false;

  start(): void {}

  onConnection(listener: (state: ConnectionState) => void): void {
    this.setState = listener;
  }

  send(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    if (this.disposed > 0) throw new InvariantError('Sent after disposal');
    const records = recordsIn([batch]);
    this.batches.push(records.length);
    return new Promise((resolve, reject) => {
      this.#line.push({ records, resolve, reject });
      this.inFlightMost = Math.max(this.inFlightMost, this.#line.length);
      signal.addEventListener('abort', () => reject(new UplinkError('uplink-stopped', 'stopped')), { once: true });
      this.#move();
    });
  }

  release(): void {
    this.holds = false;
    this.#move();
  }

  get ids(): readonly string[] {
    return [...new Set(this.arrived.map(({ id }) => id))];
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed += 1;
    return Promise.resolve();
  }

  #move(): void {
    if (this.#moving || this.holds || this.#line.length === 0) return;
    this.#moving = true;
    setImmediate(() => {
      this.#moving = false;
      this.#conclude();
      this.#move();
    });
  }

  #conclude(): void {
    const batch = this.#line[0];
    if (batch === undefined || this.holds) return;
    const fate = this.fates.shift() ?? 'stored';
    if (fate === 'stored' || fate === 'stored-and-lost') this.arrived.push(...batch.records);
    if (fate === 'lost' || fate === 'stored-and-lost') {
      const asked = this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs };
      for (const { reject } of this.#line.splice(0))
        reject(new UplinkError('uplink-unreachable', 'connection lost', asked));
      return;
    }
    this.#line.shift();
    if (fate === 'stored') batch.resolve();
    else if (fate === 'refused') batch.reject(new UplinkError('uplink-refused', 'unknown watch'));
    else batch.reject(new UplinkError('uplink-batch-too-large', 'too large'));
  }
}

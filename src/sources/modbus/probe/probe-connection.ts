import type { Deps } from '../../../platform/deps.ts';
import { OperatingError } from '../../../platform/errors.ts';
import { EndpointLink } from '../link/endpoint-link.ts';
import type { LinkUser, ReadListener } from '../link/modbus-link.ts';
import { ModbusMeters } from '../link/modbus-metrics.ts';
import type { ModbusEndpoint } from '../../../protocols/modbus/modbus-url.ts';
import { type ReadRequest, readsBits } from '../frame/read-pdu.ts';
import { refusal, valuesOf } from './read-values.ts';

const CONNECT_TIMEOUT_MS = 3_000;
const ANSWER_TIMEOUT_MS = 2_000;
const RECONNECT_MS = 200;
const REGISTERS_PER_REQUEST = 125;
const BITS_PER_REQUEST = 2_000;

/** Connection for `andon probe`: no retries, the first failure is reported. Reads only. */
export class ProbeConnection implements Disposable {
  readonly #link: EndpointLink;
  readonly #user: LinkUser;

  constructor(endpoint: ModbusEndpoint, deps: Deps) {
    this.#user = { meters: new ModbusMeters(deps.metrics, 'probe'), onChange: () => undefined, spareRegisters: 0 };
    const waits = {
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      reconnectFirstMs: RECONNECT_MS,
      reconnectMaxMs: RECONNECT_MS,
    };
    const rules = { framing: 'tolerant', transactionId: 'check', closeAfterScan: false } as const;
    this.#link = new EndpointLink({ endpoint, ...waits, ...rules, pauseMs: 0, pauseAfterConnectMs: 0 }, deps);
    this.#link.join(this.#user);
    this.#link.start();
  }

  /**
   * Reads a block with as many requests as necessary; one call at a time.
   *
   * @param block A block with any count.
   * @returns Registers as 0–65535, bits as 0 or 1.
   * @throws OperatingError `modbus-connect-failed`, `modbus-connection-lost`, `modbus-timeout`,
   *   `modbus-garbled-answer` or `modbus-refused`.
   */
  async read(block: ReadRequest): Promise<readonly number[]> {
    const most = readsBits(block.functionCode) ? BITS_PER_REQUEST : REGISTERS_PER_REQUEST;
    const values: number[] = [];
    while (values.length < block.count) {
      const address = block.address + values.length;
      const count = Math.min(most, block.count - values.length);
      // oxlint-disable-next-line no-await-in-loop -- one request is in flight at a time
      const [answer = []] = await this.readTogether([{ ...block, address, count }]);
      values.push(...answer);
    }
    return values;
  }

  /**
   * Sends requests before the first of them is answered; one call at a time.
   *
   * @param requests More than one over Modbus TCP only.
   * @throws OperatingError As `read`.
   */
  async readTogether(requests: readonly ReadRequest[]): Promise<readonly (readonly number[])[]> {
    const answers = requests.map(() => Promise.withResolvers<readonly number[]>());
    this.#link.submit(
      requests.map((request, index) =>
        this.#link.prepare(request, ANSWER_TIMEOUT_MS, listenerOf(request, answers[index]), this.#user),
      ),
    );
    return Promise.all(answers.map(async ({ promise }) => promise));
  }

  [Symbol.dispose](): void {
    this.#link.dispose();
  }
}

function listenerOf(request: ReadRequest, answer: PromiseWithResolvers<readonly number[]> | undefined): ReadListener {
  return {
    answered: (bytes, offset) => answer?.resolve(valuesOf(request, bytes, offset)),
    refused: (exceptionCode) => answer?.reject(refusal(request, exceptionCode)),
    failed: ({ code, message }) => {
      const known = code === 'modbus-link-down' ? 'modbus-connect-failed' : code;
      answer?.reject(new OperatingError(known, 'retry', message));
    },
  };
}

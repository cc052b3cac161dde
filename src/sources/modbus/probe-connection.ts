import type { Clock } from '../../platform/clock.ts';
import { OperatingError } from '../../platform/errors.ts';
import { requestFrame } from './mbap-frame.ts';
import type { ReadListener } from './modbus-link.ts';
import type { ConnectionEnd } from './modbus-tcp-client.ts';
import { ModbusTcpClient } from './modbus-tcp-client.ts';
import type { TcpEndpoint } from './modbus-url.ts';
import type { ReadRequest } from './read-pdu.ts';
import { describeException, readFunctionCodes, readsBits } from './read-pdu.ts';
import { bitDecoder } from './register-decode.ts';

const CONNECT_TIMEOUT_MS = 3_000;
const ANSWER_TIMEOUT_MS = 2_000;
const REGISTERS_PER_REQUEST = 125;
const BITS_PER_REQUEST = 2_000;
const TRANSACTION_IDS = 65_536;

/** One connection for a person who looks at a device: no retries, the first failure is told. It only reads. */
export class ProbeConnection implements Disposable {
  readonly #client: ModbusTcpClient;
  readonly #connected = Promise.withResolvers<void>();
  #pending: { readonly listener: ReadListener; readonly fail: (error: OperatingError) => void } | undefined;
  #failure: OperatingError | undefined;
  #transactionId = 0;

  constructor(endpoint: TcpEndpoint, clock: Clock) {
    // Whoever reads awaits it; a failure before that is no unhandled rejection.
    this.#connected.promise.catch(() => undefined);
    this.#client = new ModbusTcpClient(
      { ...endpoint, connectTimeoutMs: CONNECT_TIMEOUT_MS, clock, nextTransactionId: () => this.#nextTransactionId() },
      {
        onConnected: () => this.#connected.resolve(),
        onAnswer: (read, bytes, offset) => read.listener.answered(bytes, offset),
        onException: (read, exceptionCode) => read.listener.refused(exceptionCode),
        onEnd: (end) => this.#onEnd(end),
      },
    );
    this.#client.connect();
  }

  /**
   * Reads a block, in as many requests as it takes; one call at a time.
   *
   * @param block Any count; registers are 0–65535, bits 0 or 1.
   * @throws OperatingError `modbus-connect-failed`, `modbus-connection-lost`, `modbus-timeout`,
   *   `modbus-garbled-answer` or `modbus-refused`.
   */
  async read(block: ReadRequest): Promise<readonly number[]> {
    await this.#connected.promise;
    const most = readsBits(block.functionCode) ? BITS_PER_REQUEST : REGISTERS_PER_REQUEST;
    const values: number[] = [];
    while (values.length < block.count) {
      const address = block.address + values.length;
      const count = Math.min(most, block.count - values.length);
      // oxlint-disable-next-line no-await-in-loop -- one request is in flight at a time
      values.push(...(await this.#readOnce({ ...block, address, count })));
    }
    return values;
  }

  [Symbol.dispose](): void {
    this.#client.destroy();
  }

  async #readOnce(request: ReadRequest): Promise<readonly number[]> {
    if (this.#failure !== undefined) throw this.#failure;
    const answer = Promise.withResolvers<readonly number[]>();
    const listener: ReadListener = {
      answered: (bytes, offset) => answer.resolve(valuesOf(request, bytes, offset)),
      refused: (exceptionCode) => answer.reject(refusal(request, exceptionCode)),
      failed: ({ code, message }) => answer.reject(new OperatingError(code, 'retry', message)),
    };
    this.#pending = { listener, fail: (error) => answer.reject(error) };
    this.#client.send({ request, timeoutMs: ANSWER_TIMEOUT_MS, listener, frame: requestFrame(request) });
    return answer.promise;
  }

  #onEnd({ code, message }: ConnectionEnd): void {
    this.#failure = new OperatingError(code, 'retry', message);
    this.#connected.reject(this.#failure);
    this.#pending?.fail(this.#failure);
  }

  #nextTransactionId(): number {
    this.#transactionId = (this.#transactionId + 1) % TRANSACTION_IDS;
    return this.#transactionId;
  }
}

function valuesOf({ functionCode, count }: ReadRequest, bytes: Buffer, offset: number): readonly number[] {
  const isBits = readsBits(functionCode);
  return Array.from({ length: count }, (_, index) =>
    isBits ? bitDecoder(index)(bytes, offset) : bytes.readUInt16BE(offset + index * 2),
  );
}

function refusal(request: ReadRequest, exceptionCode: number): OperatingError {
  const { unitId, functionCode, address, count } = request;
  const what = `Unit ${unitId} refused function ${functionCode}, ${count} from ${address}: ${describeException(exceptionCode)}`;
  const advice = exceptionCode === 2 ? `; ${addressAdvice(request)}` : '';
  return new OperatingError('modbus-refused', 'reject', `${what}${advice}`);
}

/** Manuals number from 1, often with the register kind as the first digit; on the wire addresses start at 0. */
function addressAdvice({ functionCode, address, count }: ReadRequest): string {
  const firstOfManual = manualNumbers[functionCode];
  if (address >= firstOfManual) return `a manual's ${address} is address ${address - firstOfManual}: try that`;
  if (count > 1) return `try ${address} alone; a manual that counts from 1 means ${Math.max(address - 1, 0)}`;
  return address > 0 ? `a manual that counts from 1 means ${address - 1}: try that` : 'try another kind of register';
}

/** Coils have no first digit of their own. */
const manualNumbers = {
  [readFunctionCodes.coil]: Infinity,
  [readFunctionCodes.discrete]: 10_001,
  [readFunctionCodes.holding]: 40_001,
  [readFunctionCodes.input]: 30_001,
} as const;

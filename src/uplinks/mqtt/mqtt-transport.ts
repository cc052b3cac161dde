import type { ConnectionState, UplinkTransport } from '../../contracts/uplink.ts';
import type { RecordBatch } from '../../domain/record/record-batch.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import { type MqttConfig, mqttConnectionOptions, randomClientId } from '../../protocols/mqtt/mqtt-config.ts';
import { isEndedByBroker, SUSPECT_BYTES_MIN } from '../../protocols/mqtt/mqtt-end-reason.ts';
import { MqttConnection } from '../../protocols/mqtt/mqtt-connection.ts';
import { batchPayload, COLUMNS_MESSAGE_BYTES } from '../message-json.ts';
import { UplinkError } from '../uplink-errors.ts';
import type { UplinkFields } from '../uplink-fields.ts';

export type MqttTransportConfig = MqttConfig & {
  readonly topic: string;
  readonly retain: boolean;
  readonly publishTimeoutMs: number;
  readonly values: UplinkFields['values'];
};

/** A batch under way; `alone` is false once another one was sent while it was. */
type Sending = { alone: boolean };

/** Lost connections after which a single record becomes a dead letter. Between them the broker must accept another message. */
const STRIKES_MAX = 3;
/** Accepted batches after which larger ones are tried: the cause may have been the network. */
const RETRY_LARGER_AFTER = 1000;
/** A batch without records: a message that every broker and receiver accepts. */
const NO_RECORDS = { names: '[]', columns: '{"columns":[],"records":[]}' } as const;

/**
 * One connection; what is published on it arrives in order (MQTT 3.1.1, section 4.6), so several batches may be
 * under way at once. A new connection begins only after every batch of the old one has failed.
 *
 * Brokers refuse a large message in different ways:
 *
 * | the broker | next |
 * | --- | --- |
 * | announces its limit (MQTT 5) | batches fit |
 * | answers with 0x95, 0x97 or 0x99 | the batch is divided; a single record with 0x95 or 0x99 is a dead letter |
 * | closes the connection, or answers a single record with 0x97 | batches are sent one at a time and divided; a single record is a dead letter after three failures if the broker accepts an empty batch between them |
 */
export class MqttTransport implements UplinkTransport {
  readonly #connection: MqttConnection;
  readonly #config: MqttTransportConfig;
  readonly #sending = new Set<Sending>();
  /** Most bytes of a batch, learnt from refusals. */
  #learntMax = Infinity;
  #hasDelivered = false;
  /** Batches accepted since the last refusal. */
  #accepted = 0;
  /** True after several batches were lost together: the next ones are sent one at a time. */
  #isCautious = false;
  /** Ends when the last batch that was sent in turn has ended. */
  #turn: Promise<void> = Promise.resolve();
  /** Batches that wait for their turn. */
  #waiting = 0;
  #refusals = 0;
  /** Failures of a single record. */
  #strikes: { readonly id: string; readonly count: number } | undefined;

  constructor(id: string, config: MqttTransportConfig, deps: Deps) {
    const name = `uplink/${id}`;
    const clientId = randomClientId(deps.random, name);
    this.#connection = new MqttConnection(mqttConnectionOptions(config, { name, clientId }), deps);
    this.#config = config;
  }

  start(): void {
    this.#connection.start();
  }

  onConnection(listener: (state: ConnectionState) => void): void {
    this.#connection.onState((state) =>
      listener(
        state.connected
          ? { connected: true }
          : { connected: false, code: state.code, reason: `${state.reason}${this.#retainHint(state.reason)}` },
      ),
    );
  }

  bytesMax(): number | undefined {
    const announced = this.#connection.payloadBytesMax(this.#config.topic) ?? Infinity;
    const bytesMax = Math.min(announced, this.#learntMax);
    if (bytesMax === Infinity) return undefined;
    return this.#config.values === 'columns' ? bytesMax - COLUMNS_MESSAGE_BYTES : bytesMax;
  }

  send(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    // A batch must not overtake those that wait.
    if (!this.#isCautious && this.#waiting === 0) return this.#sendNow(batch, signal);
    const sent = this.#sendInTurn(this.#turn, batch, signal);
    const ended = () => undefined;
    this.#turn = sent.then(ended, ended);
    return sent;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connection[Symbol.asyncDispose]();
  }

  async #sendInTurn(before: Promise<void>, batch: RecordBatch, signal: AbortSignal): Promise<void> {
    const refusals = this.#refusals;
    this.#waiting += 1;
    await before;
    this.#waiting -= 1;
    // The batch before is sent again first, perhaps in parts.
    if (this.#refusals !== refusals)
      throw new UplinkError('uplink-batch-waits', 'A batch waits for the one before, which the broker did not accept');
    await this.#sendNow(batch, signal);
  }

  async #sendNow(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    const payload = batchPayload(batch, this.#config.values);
    const sending = { alone: this.#sending.size === 0 };
    for (const other of this.#sending) other.alone = false;
    this.#sending.add(sending);
    try {
      // If the broker does not accept this either, the record is not the cause.
      if (this.#strikesOf(batch) > 0) await this.#publish(NO_RECORDS[this.#config.values], signal, false);
      await this.#publish(payload, signal).catch((error: unknown) => {
        throw this.#refusal(error, batch, sending.alone);
      });
      this.#noteAccepted();
    } catch (error) {
      this.#refusals += 1;
      throw error;
    } finally {
      this.#sending.delete(sending);
    }
  }

  #publish(payload: Buffer | string, signal: AbortSignal, retain = this.#config.retain): Promise<void> {
    const { topic, publishTimeoutMs } = this.#config;
    const options = { qos: 1, retain, timeoutMs: publishTimeoutMs } as const;
    return unlessAborted(this.#connection.publish(topic, payload, options), signal);
  }

  /** Returns the error for the pump: 'uplink-batch-too-large' divides the batch, or makes a single record a dead letter. */
  #refusal(error: unknown, batch: RecordBatch, alone: boolean): unknown {
    const { bytes } = batch;
    const code = errorCode(error);
    const isContent = code === 'mqtt-payload-refused';
    if (isContent || code === 'mqtt-publish-too-large') {
      this.#isCautious = true;
      return isContent ? tooLarge(error, bytes) : this.#learn(error, bytes);
    }
    const isQuota = code === 'mqtt-publish-refused' && reasonCodeOf(error) === QUOTA_EXCEEDED;
    if (!isQuota && !isEndedByBroker(error)) return error;
    if (bytes < SUSPECT_BYTES_MIN) return error;
    if (!isQuota && !alone) {
      this.#isCautious = true;
      return error;
    }
    this.#isCautious = true;
    if (batch.length > 1) return this.#learn(error, bytes);
    const count = this.#strikesOf(batch) + 1;
    this.#strikes = { id: batch.first.id, count };
    return count < STRIKES_MAX ? error : tooLarge(error, bytes, this.#retainHint(errorMessage(error)));
  }

  /** With 3.1.1 a broker names no reason. MQTT 5 announces that it keeps no retained messages. */
  #retainHint(reason: string): string {
    const isPossible = this.#config.retain && !this.#hasDelivered && this.#connection.protocolVersion === 4;
    if (!isPossible || !reason.includes('closed the connection')) return '';
    return '. A broker without retained messages closes it at the first batch: retain: false';
  }

  #learn(cause: unknown, bytes: number): UplinkError {
    // A batch that was sent before the last lesson must not halve the limit again.
    this.#learntMax = Math.max(Math.min(this.#learntMax, Math.floor(bytes / 2)), SUSPECT_BYTES_MIN);
    this.#accepted = 0;
    return tooLarge(cause, bytes);
  }

  #noteAccepted(): void {
    this.#isCautious = false;
    this.#hasDelivered = true;
    this.#accepted += 1;
    if (this.#accepted < RETRY_LARGER_AFTER) return;
    this.#accepted = 0;
    this.#learntMax *= 2;
  }

  #strikesOf({ length, first }: RecordBatch): number {
    return length === 1 && first.id === this.#strikes?.id ? this.#strikes.count : 0;
  }
}

function tooLarge(cause: unknown, bytes: number, hint = ''): UplinkError {
  const text = `The broker does not accept a batch of ${bytes} bytes: ${errorMessage(cause)}${hint}`;
  return new UplinkError('uplink-batch-too-large', text, { cause });
}

/** @see MQTT 5, section 3.4.2.1. */
const QUOTA_EXCEEDED = 0x97;

function reasonCodeOf(error: unknown): unknown {
  return error instanceof OperatingError && error.cause instanceof Error && 'code' in error.cause
    ? error.cause.code
    : undefined;
}

/** The promise, or 'uplink-stopped' where the signal is first. */
function unlessAborted(published: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new UplinkError('uplink-stopped', 'The uplink stopped before the broker answered'));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    published.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

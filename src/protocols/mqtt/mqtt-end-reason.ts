import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import type { MqttErrorCode } from './mqtt-errors.ts';

/** Messages of fewer bytes are under the limit of every broker: a connection that ends with one has another cause. */
export const SUSPECT_BYTES_MIN = 256;
/** Ends of a connection by which a broker may refuse a message that is too large. */
const refusingEnds: ReadonlySet<string> = new Set(['mqtt-closed', 'mqtt-unreachable', 'mqtt-malformed-packet']);

/** True if a publish failed because the connection ended in a way in which brokers refuse a message. */
export function isEndedByBroker(error: unknown): boolean {
  if (errorCode(error) !== 'mqtt-not-connected' || !(error instanceof OperatingError)) return false;
  return error.cause instanceof OperatingError && refusingEnds.has(error.cause.code);
}

/** Maps the error that ended a connection to one of our codes, with a text for the operator. */
export function endReason(
  options: { readonly url: string; readonly keepaliveMs: number; readonly connectTimeoutMs: number },
  error: Error,
): OperatingError {
  const [code, text] = classify(options, error);
  return new OperatingError(code, 'retry', `${text} (${options.url})`, { cause: error });
}

function classify(
  options: { readonly keepaliveMs: number; readonly connectTimeoutMs: number },
  error: Error,
): readonly [string, string] {
  if (error instanceof OperatingError) return [error.code, error.message];
  return classifyForeign(options, error);
}

function classifyForeign(
  options: { readonly keepaliveMs: number; readonly connectTimeoutMs: number },
  error: Error,
): readonly [MqttErrorCode, string] {
  const code: unknown = 'code' in error ? error.code : undefined;
  // mqtt.js 5.16 marks these errors by their text only.
  if (error.message === 'Keepalive timeout')
    return ['mqtt-keepalive', `The broker sent nothing for ${1.5 * options.keepaliveMs} ms`];
  if (error.message === 'connack timeout')
    return ['mqtt-connect-timeout', `The broker did not answer the login within ${options.connectTimeoutMs} ms`];
  if (error.message.startsWith('Connection refused: '))
    return ['mqtt-refused', `The broker refused the login: ${error.message.slice('Connection refused: '.length)}`];
  if (typeof code === 'string') return ['mqtt-unreachable', `${code}: ${detail(error)}`];
  return ['mqtt-malformed-packet', `The broker sent bytes that are not MQTT: ${errorMessage(error)}`];
}

/** Node tries `localhost` as ::1 and 127.0.0.1; the error of both attempts has no text of its own. */
function detail(error: Error): string {
  // OpenSSL ends its messages with a line break.
  if (error.message !== '' || !(error instanceof AggregateError)) return error.message.trim();
  return error.errors.map(errorMessage).join(', ');
}

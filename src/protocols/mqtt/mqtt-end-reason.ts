import { errorMessage, OperatingError } from '../../platform/errors.ts';
import type { MqttErrorCode } from './mqtt-errors.ts';

/** Puts what mqtt.js and Node report about a connection that ended into our codes, with words for an operator. */
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
): readonly [MqttErrorCode, string] {
  const code: unknown = 'code' in error ? error.code : undefined;
  // mqtt.js 5.16 marks these only by their text.
  if (error.message === 'Keepalive timeout')
    return ['mqtt-keepalive', `Nothing came from the broker for ${1.5 * options.keepaliveMs} ms`];
  if (error.message === 'connack timeout')
    return ['mqtt-connect-timeout', `The broker did not answer the login within ${options.connectTimeoutMs} ms`];
  if (error.message.startsWith('Connection refused: '))
    return ['mqtt-refused', `The broker refused the login: ${error.message.slice('Connection refused: '.length)}`];
  if (typeof code === 'string') return ['mqtt-unreachable', `${code}: ${detail(error)}`];
  return ['mqtt-malformed-packet', `The broker sent what is not MQTT: ${errorMessage(error)}`];
}

/** `localhost` is tried as ::1 and 127.0.0.1, and the error of both together has no text of its own. */
function detail(error: Error): string {
  // OpenSSL ends its messages with a line break.
  if (error.message !== '' || !(error instanceof AggregateError)) return error.message.trim();
  return error.errors.map(errorMessage).join(', ');
}

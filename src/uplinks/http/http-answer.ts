import { parseRetryAfterMs } from '../../platform/retry-after.ts';
import { UplinkError } from '../uplink-errors.ts';

/** The parts of a response that decide what happens to the batch. */
export type HttpAnswer = {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly location: string | undefined;
  /** First bytes of the body, for the operator. */
  readonly text: string;
};

/** Characters of the response that are copied into a reason. */
const WORDS_MAX = 200;

/**
 * Maps a response to an error; undefined if the receiver stored the batch (2xx).
 *
 * @param keepStatuses 4xx statuses that are caused by the agent, not by the records.
 * @param nowMs Current time, for a Retry-After that is a date.
 */
export function answerError(
  answer: HttpAnswer,
  keepStatuses: readonly number[],
  nowMs: number,
): UplinkError | undefined {
  const { status } = answer;
  if (status >= 200 && status < 300) return undefined;
  const retryAfterMs = parseRetryAfterMs(answer.retryAfter, nowMs);
  const asked = retryAfterMs === undefined ? {} : { retryAfterMs };
  const text = answer.text.replace(/[\p{C}\s]+/gu, ' ').trim();
  const words = text === '' ? '' : `: ${text.slice(0, WORDS_MAX)}`;
  const message = `HTTP ${status}${words}`;
  if (status >= 500 || status === 408)
    return new UplinkError('uplink-receiver-failed', `The receiver failed with ${message}`, asked);
  if (status === 429)
    return new UplinkError('uplink-overloaded', `The receiver limits the rate with ${message}`, asked);
  if (keepStatuses.includes(status))
    return new UplinkError(
      'uplink-not-admitted',
      `The receiver refused the credentials of this agent: ${message}`,
      asked,
    );
  if (status === 413) return new UplinkError('uplink-batch-too-large', `The batch is too large: ${message}`);
  if (status >= 400) return new UplinkError('uplink-refused', `The receiver refused the batch with ${message}`);
  if (status >= 300) {
    const target = answer.location === undefined ? '' : ` to ${answer.location.slice(0, WORDS_MAX)}`;
    return new UplinkError(
      'uplink-redirected',
      `Redirected with HTTP ${status}${target}, which is not followed`,
      asked,
    );
  }
  return new UplinkError(
    'uplink-answer-invalid',
    `The receiver answered with ${message}, which is not a valid status here`,
  );
}

import type { Dispatcher } from 'undici';
import type { NotifyTransport } from '../../contracts/outputs/notify-channel.ts';
import type { NotifyMessage } from '../../domain/notify/notify-message.ts';
import { readSecret, type SecretReference } from '../../platform/config-fields.ts';
import type { Deps } from '../../platform/deps.ts';
import { OperatingError } from '../../platform/errors.ts';
import { parseRetryAfterMs } from '../../platform/retry-after.ts';
import { httpErrorText, isConnectTimeout, OutgoingHttp } from '../../protocols/http/outgoing-http.ts';
import { NotifyError } from '../notify-errors.ts';
import { ownRequest, templates, type WebhookRequest } from './templates.ts';
import type { WebhookConfig } from './webhook-config.ts';

const ANSWER_BYTES_MAX = 65_536;
/** Characters of the answer that are copied into a reason. */
const WORDS_MAX = 200;

/** Posts messages, through the proxy of the environment if there is one. */
export class WebhookTransport implements NotifyTransport {
  readonly #config: WebhookConfig;
  readonly #deps: Deps;
  readonly #http: OutgoingHttp;

  constructor(config: WebhookConfig, deps: Deps) {
    this.#config = config;
    this.#deps = deps;
    const { tls, connectTimeoutMs } = config;
    this.#http = new OutgoingHttp({ tls, connectTimeoutMs, connections: 1, responseBytesMax: ANSWER_BYTES_MAX });
  }

  async send(message: NotifyMessage, signal: AbortSignal): Promise<void> {
    const { template, body, contentType, parameters, headers } = this.#config;
    const url = new URL(textOf(this.#config.url));
    const values = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, textOf(value)]));
    const requests =
      body === undefined ? templates[template](message, values) : [ownRequest(body, contentType, message, values)];
    const own = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), textOf(value)]));
    for (const request of requests) await this.#post(url, request, own, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#http.destroy();
  }

  async #post(
    { origin, host, pathname, search }: URL,
    { body, contentType, headers }: WebhookRequest,
    own: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void> {
    let answer: Dispatcher.ResponseData;
    try {
      answer = await this.#http.request({
        origin,
        method: 'POST',
        path: `${pathname}${search}`,
        headers: { 'user-agent': 'andon', ...headers, ...own, 'content-type': contentType },
        body,
        signal,
      });
    } catch (error) {
      throw error instanceof OperatingError ? error : requestError(host, error);
    }
    // The status decides, also if the body is too long or ends early.
    const text = await answer.body.text().catch(() => '');
    const failure = answerError(answer, text, this.#deps.clock.nowMs());
    if (failure !== undefined) throw failure;
  }
}

function requestError(host: string, error: unknown): NotifyError {
  const text = `The request to ${host} failed: ${httpErrorText(error)}`;
  return new NotifyError(isConnectTimeout(error) ? 'notify-timeout' : 'notify-unreachable', text, { cause: error });
}

function answerError(
  { statusCode, headers }: Dispatcher.ResponseData,
  body: string,
  nowMs: number,
): NotifyError | undefined {
  if (statusCode >= 200 && statusCode < 300) return undefined;
  const words = body
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, WORDS_MAX);
  const text = `HTTP ${statusCode}${words === '' ? '' : `: ${words}`}`;
  const after = headers['retry-after'];
  const retryAfterMs = parseRetryAfterMs(Array.isArray(after) ? after[0] : after, nowMs);
  if (statusCode >= 500 || statusCode === 408 || statusCode === 429)
    return new NotifyError('notify-service-failed', `The service answered with ${text}`, { retryAfterMs });
  if (statusCode === 401 || statusCode === 403 || statusCode === 407)
    return new NotifyError('notify-not-admitted', `The service refused the credentials: ${text}`);
  if (statusCode < 400)
    return new NotifyError(
      'notify-unreachable',
      `The service redirects with HTTP ${statusCode}, which is not followed`,
    );
  return new NotifyError('notify-refused', `The service refused the message with ${text}`);
}

function textOf(value: string | SecretReference): string {
  return typeof value === 'string' ? value : readSecret(value);
}

import { type ErrorCatalogue, OperatingError, reject, retry } from '../platform/errors.ts';

export const notifyErrors = {
  'notify-unreachable': retry(
    'No connection to the service of a notification channel: refused, reset, no route, unknown host name, TLS failed, or the proxy refused.',
    'Check network, DNS, firewall, certificate (`tls.ca`) and proxy (HTTPS_PROXY). The message waits.',
  ),
  'notify-timeout': retry(
    'The service of a notification channel did not answer within `timeout`. It may have sent the message, which is repeated.',
    'Check the service, or raise `timeout`.',
  ),
  'notify-service-failed': retry(
    'The service of a notification channel failed or limits the rate (HTTP 5xx, 408, 429, SMTP 4xx). Its Retry-After is obeyed.',
    'Check the service, or raise `cooldown` and `group.wait`.',
  ),
  'notify-not-admitted': retry(
    'The service of a notification channel refused the credentials (HTTP 401, 403 or 407, SMTP 535).',
    'Renew the token or password. Secrets are read again for each attempt.',
  ),
  'notify-refused': reject(
    'The service of a notification channel refused a message permanently (HTTP 4xx, SMTP 5xx). The message is dropped and counted.',
    'Read the reason in the log, and fix `url`, `template`, `parameters` or `to`; then `andon notify test`.',
  ),
} as const satisfies ErrorCatalogue;

/** An error of a channel, with the disposition of the catalogue. */
export class NotifyError extends OperatingError {
  /** Wait that the service requested (Retry-After); undefined if it requested none. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: keyof typeof notifyErrors,
    message: string,
    options: ErrorOptions & { readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(code, notifyErrors[code].disposition, message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

import { createTransport } from 'nodemailer';
import type { NotifyTransport } from '../../contracts/outputs/notify-channel.ts';
import type { NotifyMessage } from '../../domain/notify/notify-message.ts';
import { readSecret } from '../../platform/config-fields.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { readTlsFiles } from '../../platform/tls-files.ts';
import { NotifyError } from '../notify-errors.ts';
import type { EmailConfig } from './email-config.ts';

/** Sends each message over a connection of its own, so that a changed password or certificate applies. */
export class EmailTransport implements NotifyTransport {
  readonly #config: EmailConfig;

  constructor(config: EmailConfig) {
    this.#config = config;
  }

  async send({ title, text, link }: NotifyMessage, signal: AbortSignal): Promise<void> {
    const { url, startTls, username, password, from, to, connectTimeoutMs, tls } = this.#config;
    const { hostname, port, protocol } = new URL(url);
    const isTls = protocol === 'smtps:';
    const files = readTlsFiles(tls);
    const transport = createTransport({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? (isTls ? 465 : 587) : Number(port),
      secure: isTls,
      requireTLS: !isTls && startTls === 'required',
      ignoreTLS: !isTls && startTls === 'never',
      connectionTimeout: connectTimeoutMs,
      greetingTimeout: connectTimeoutMs,
      tls: files,
      // A message never reads a file or a URL.
      disableFileAccess: true,
      disableUrlAccess: true,
      ...(username === undefined || password === undefined
        ? {}
        : { auth: { user: username, pass: readSecret(password) } }),
    });
    try {
      await transport.sendMail({
        from,
        to,
        subject: title,
        text: link === undefined ? text : `${text}\n\n${link}`,
        // No out-of-office answers (RFC 3834).
        headers: { 'Auto-Submitted': 'auto-generated' },
        signal,
      });
    } catch (error) {
      throw signal.aborted && signal.reason instanceof OperatingError ? signal.reason : mailError(hostname, error);
    } finally {
      transport.close();
    }
  }

  /** No connection is kept. */
  async [Symbol.asyncDispose](): Promise<void> {}
}

function mailError(host: string, error: unknown): OperatingError {
  if (error instanceof OperatingError) return error;
  const facts: { readonly code?: unknown; readonly responseCode?: unknown } = error instanceof Object ? error : {};
  const text = `The mail server ${host}: ${errorMessage(error)}`;
  if (facts.code === 'EAUTH') return new NotifyError('notify-not-admitted', text, { cause: error });
  const { responseCode } = facts;
  const isAboutMessage = facts.code === 'EENVELOPE' || facts.code === 'EMESSAGE';
  // Such as a server without STARTTLS.
  if (typeof responseCode !== 'number' || !isAboutMessage)
    return new NotifyError('notify-unreachable', text, { cause: error });
  return new NotifyError(responseCode >= 500 ? 'notify-refused' : 'notify-service-failed', text, { cause: error });
}

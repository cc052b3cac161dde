import type { ErrorCatalogue } from '../platform/errors.ts';
import { OperatingError } from '../platform/errors.ts';

export const uplinkErrors = {
  'uplink-refused': {
    disposition: 'reject',
    meaning:
      'The receiver refused a batch for good (HTTP 4xx). Its records are dead letters in the outbox, with the answer.',
    remedy:
      'The reason is in the log and in the health of the uplink; docs/uplinks.md shows how to read the dead letters. Correct the receiver or its schema. Later records are sent.',
  },
  'uplink-batch-too-large': {
    disposition: 'reject',
    meaning:
      'The receiver found a batch too large (HTTP 413). It is split; a single record that is too large is a dead letter.',
    remedy: 'Lower `batch.bytesMax` of the uplink below what the receiver takes, or raise the limit of the receiver.',
  },
  'uplink-not-admitted': {
    disposition: 'retry',
    meaning: 'The receiver did not admit this agent (HTTP 401, 403 or 407). Records are kept and tried again.',
    remedy: 'Renew the token or certificate of the uplink; secrets are read again before every request.',
  },
  'uplink-redirected': {
    disposition: 'retry',
    meaning:
      'The receiver answered with a redirect, which is never followed: a captive portal does it, or a URL that moved.',
    remedy: 'Open the URL from the same network and set `url` to the address that really takes the records.',
  },
  'uplink-overloaded': {
    disposition: 'retry',
    meaning: 'The receiver asked to slow down (HTTP 429). Its Retry-After is obeyed.',
    remedy: 'Set `pace` of the uplink, or give the agent a larger quota at the receiver.',
  },
  'uplink-receiver-failed': {
    disposition: 'retry',
    meaning: 'The receiver or a gateway before it failed (HTTP 5xx or 408). Its Retry-After is obeyed.',
    remedy: 'Look at the receiver. The outbox holds the records meanwhile.',
  },
  'uplink-answer-invalid': {
    disposition: 'retry',
    meaning:
      'What answered is not a receiver of records: it does not speak HTTP, or gave a status that has no meaning here.',
    remedy: 'Check `url`: the port may belong to another program.',
  },
  'uplink-unreachable': {
    disposition: 'retry',
    meaning: 'No connection to the receiver: refused, reset, no route, no such name, or TLS failed.',
    remedy: 'Check network, DNS, firewall and certificate; the reason has the system’s own words.',
  },
  'uplink-connect-timeout': {
    disposition: 'retry',
    meaning: 'The receiver could not be connected to within `connectTimeout`.',
    remedy: 'Check network and firewall; raise `connectTimeout` on a slow link.',
  },
  'uplink-timeout': {
    disposition: 'retry',
    meaning:
      'The receiver did not answer within `timeout`. It may have stored the batch; the repeat carries the same ids.',
    remedy: 'Raise `timeout`, or lower `batch.recordsMax` so that a batch takes less time.',
  },
  'uplink-tls-file': {
    disposition: 'retry',
    meaning: 'A certificate or key file of the uplink could not be read.',
    remedy: 'Check path and rights of the files under `tls`.',
  },
  'uplink-stopped': {
    disposition: 'retry',
    meaning: 'The agent stopped before the receiver answered. The batch stays in the outbox.',
    remedy: 'Nothing: it is sent again at the next start.',
  },
  'uplink-unexpected': {
    disposition: 'retry',
    meaning: 'Something failed that the uplink has no name for. The batch is kept and tried again.',
    remedy: 'Report it, with the reason.',
  },
} as const satisfies ErrorCatalogue;

export type UplinkErrorCode = keyof typeof uplinkErrors;

/** An uplink's own error; its disposition is the catalogue's. */
export class UplinkError extends OperatingError {
  /** How long the receiver asked to be left alone; undefined where it did not ask. */
  readonly retryAfterMs: number | undefined;

  constructor(code: UplinkErrorCode, message: string, options: ErrorOptions & { readonly retryAfterMs?: number } = {}) {
    super(code, uplinkErrors[code].disposition, message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

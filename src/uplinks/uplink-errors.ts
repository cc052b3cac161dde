import { type ErrorCatalogue, OperatingError, reject, retry } from '../platform/errors.ts';

export const uplinkErrors = {
  'uplink-refused': reject(
    'The receiver refused a batch permanently (HTTP 4xx). Its records are dead letters in the outbox, with the response.',
    'Read the reason with `andon outbox export` and fix the receiver or its schema. Later records are still sent.',
  ),
  'uplink-batch-too-large': reject(
    'The receiver rejected a batch as too large (HTTP 413, MQTT 5 reason 0x95, or a broker that closes the connection). It is split; a single record that is too large becomes a dead letter.',
    'Set `batch.bytesMax` of the uplink below the limit of the receiver, or raise that limit.',
  ),
  'uplink-partly-refused': reject(
    'InfluxDB or a receiver like it refused points of a batch (HTTP 400 or 422). The batch is split until the refused records are alone; these become dead letters.',
    'Read the reason in the health of the uplink. A field type conflict needs another `prefix`; points older than the retention of the database cannot be stored.',
  ),
  'uplink-not-admitted': retry(
    'The receiver refused the credentials of this agent (HTTP 401, 403 or 407). The records are kept and retried.',
    'Renew the token or certificate of the uplink. Secrets are read again before each request.',
  ),
  'uplink-redirected': retry(
    'The receiver sent a redirect, which is not followed. The cause is a captive portal or a changed URL.',
    'Open the URL from the same network, and set `url` to the final address.',
  ),
  'uplink-overloaded': retry(
    'The receiver limits the rate (HTTP 429). The uplink waits for its Retry-After.',
    'Set `pace` of the uplink, or raise the quota of the agent at the receiver.',
  ),
  'uplink-receiver-failed': retry(
    'The receiver or a proxy in front of it failed (HTTP 5xx or 408). The uplink waits for its Retry-After.',
    'Check the receiver. The outbox keeps the records meanwhile.',
  ),
  'uplink-answer-invalid': retry(
    'The response is not from a receiver of records: it is not HTTP, or its status has no meaning here.',
    'Check `url`. Another program may use the port.',
  ),
  'uplink-unreachable': retry(
    'No connection to the receiver: refused, reset, no route, unknown host name, TLS failed, or the proxy refused.',
    'Check network, DNS, firewall, certificate and proxy (HTTPS_PROXY). The reason contains the error of the operating system.',
  ),
  'uplink-connect-timeout': retry(
    'The connection to the receiver took longer than `connectTimeout`, or the proxy did not answer CONNECT in this time.',
    'Check network, firewall and proxy (HTTPS_PROXY); raise `connectTimeout` on a slow link.',
  ),
  'uplink-timeout': retry(
    'The receiver did not answer within `timeout`. It may have stored the batch; the retry has the same ids.',
    'Raise `timeout`, or lower `batch.recordsMax` so that a batch takes less time.',
  ),
  'uplink-tls-file': retry(
    'A certificate or key of the uplink could not be read.',
    'Check path and permissions of the files under `tls`.',
  ),
  'uplink-folder-failed': retry(
    'A file could not be written into the folder of the uplink: the disk is full, the folder is missing or read-only, or access is denied.',
    'Free space on the disk, or correct `folder` and its permissions. With systemd add it to `ReadWritePaths=`.',
  ),
  'uplink-folder-full': retry(
    'The newest day alone is larger than `maxSize` of the folder. Older days were removed.',
    'Raise `maxSize` of the uplink, or send fewer kinds of `records`.',
  ),
  'uplink-stopped': retry(
    'The agent stopped before the receiver answered. The batch stays in the outbox.',
    'None: the batch is sent again at the next start.',
  ),
  'uplink-batch-waits': retry(
    'A batch waits because the broker did not accept the one before, which is sent again first.',
    'None: see the reason of the batch before.',
  ),
  'uplink-stream-unfit': retry(
    'The JetStream stream is missing, or its configuration does not fit what the uplink declares: subjects, storage, replicas, duplicate window, message size or sync_interval.',
    'Change the setting that the reason names, at the server or in the uplink. It is checked again at each connect.',
  ),
  'uplink-stream-went-back': retry(
    'The JetStream stream lost records that it had acknowledged: a power cut without sync, or a restored or deleted stream. They are sent again.',
    'Set `sync_interval: always` at the server and `durability: synced`.',
  ),
  'uplink-not-durable': retry(
    'The server is set so that a power cut destroys acknowledged records, but `durability: synced` is declared.',
    'Change the setting that the reason names at the server, or declare `durability: none`. It is checked again at each connect.',
  ),
  'uplink-database-unfit': retry(
    'The database, its schema or a table is missing, read-only or different: a column was removed, or a later version of andon changed the tables.',
    'Read the reason. Create the database, set `schema` to an unused name, connect to the primary server, or update andon.',
  ),
  'uplink-database-denied': retry(
    'The user of the database has no permission for the schema or its tables.',
    'Grant it: `GRANT CREATE ON DATABASE <database> TO <username>` for the first start, and ownership of the tables of the schema.',
  ),
  'uplink-database-full': retry(
    'The disk of the database is full. The records are kept and retried.',
    'Free space on the server, or set `retention` of the uplink.',
  ),
  'uplink-unexpected': retry(
    'The uplink failed with an unexpected error. The batch is kept and retried.',
    'Report it, with the reason.',
  ),
} as const satisfies ErrorCatalogue;

export type UplinkErrorCode = keyof typeof uplinkErrors;

/** An error of an uplink; its disposition is that of the catalogue. */
export class UplinkError extends OperatingError {
  /** Wait that the receiver requested (Retry-After); undefined if it requested none. */
  readonly retryAfterMs: number | undefined;

  constructor(code: UplinkErrorCode, message: string, options: ErrorOptions & { readonly retryAfterMs?: number } = {}) {
    super(code, uplinkErrors[code].disposition, message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

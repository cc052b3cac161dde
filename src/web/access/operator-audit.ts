import { dirname, join } from 'node:path';
import * as z from 'zod';
import type { Timer } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage } from '../../platform/errors.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import { FileLock } from '../../platform/file-lock.ts';
import { type AuditFormat, type Unchained } from '../../registry/audit/audit-chain.ts';
import type { AuditConfig } from '../../registry/audit/audit-key.ts';
import { AuditLog, type ChainReport } from '../../registry/audit/audit-log.ts';
import { accessMetrics } from './access-metrics.ts';
import { actorWithAddress, type Caller } from './caller.ts';

const operatorActions = [
  'start',
  'configuration',
  'edit-configuration',
  'refuse-configuration',
  'login',
  'logout',
  'end-sessions',
  'accounts',
  'acknowledge',
  'shelve',
  'unshelve',
  'annotate',
  'remove-annotation',
  'rewind',
  'backup',
  'output',
  'output-test',
  'fleet',
  'mend',
] as const;
export type OperatorAction = (typeof operatorActions)[number];

/** A record of the audit log of operators. */
const operatorEntrySchema = z.strictObject({
  sequence: z.int().min(1),
  timestamp_ms: z.number(),
  actor: z.string().describe('Name and address: `anna@10.0.0.5`; `andon` for the agent itself'),
  action: z.enum(operatorActions),
  subject: z.string().describe('What the act is about, such as the id of an alarm'),
  detail: z.record(z.string(), z.unknown()),
  previous: z.string(),
  hash: z.string(),
  hmac: z.string().optional(),
});
export type OperatorEntry = Readonly<z.infer<typeof operatorEntrySchema>>;

const format: AuditFormat<OperatorEntry> = {
  schema: operatorEntrySchema,
  repair: (detail) => ({ actor: 'andon', action: 'mend', subject: '', detail }),
};

/** Returns the audit log of operators. It is in the folder of the outbox. */
function operatorLog(outboxPath: string, config: AuditConfig, { clock }: Pick<Deps, 'clock'>): AuditLog<OperatorEntry> {
  return new AuditLog({ directory: dirname(outboxPath), config, format, clock });
}

/** Reads and checks the log. @throws {OperatingError} It cannot be read. */
export function readOperatorLog(
  outboxPath: string,
  config: AuditConfig,
  deps: Pick<Deps, 'clock'>,
): Promise<ChainReport<OperatorEntry>> {
  return operatorLog(outboxPath, config, deps).report();
}

/** Two agents may have their outboxes in one folder, and then share its log. */
const LOCK_FILE = 'audit.lock';
const LOCK_WAIT_MS_MAX = 10_000;
/** A key that could not be read is read again this often. */
const KEY_RETRY_MS = 10_000;
/** Most records that wait for the disk. */
const WAITING_MAX = 1_000;

/** Records what operators do, in the order in which they did it. */
export class OperatorAudit {
  readonly #log: AuditLog<OperatorEntry>;
  readonly #lockPath: string;
  readonly #deps: Deps;
  readonly #metrics;
  readonly #health: ComponentHealth;
  #retry: Timer | undefined;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(outboxPath: string, config: AuditConfig, deps: Deps) {
    this.#log = operatorLog(outboxPath, config, deps);
    this.#lockPath = join(dirname(outboxPath), LOCK_FILE);
    this.#deps = deps;
    this.#metrics = deps.metrics.of(accessMetrics);
    this.#health = deps.health.component('audit');
    this.#checkKey();
  }

  /**
   * Adds a record. Resolves when it is on disk. Never rejects: an operator must be able to act while the disk fails. The
   * application log and a metric then report the missing record.
   *
   * @param caller Sender of the request, or Unix user of a command. Undefined for an act of the agent itself.
   */
  record(
    caller: Caller | string | undefined,
    action: OperatorAction,
    subject: string,
    detail: OperatorEntry['detail'] = {},
  ): Promise<void> {
    const actor = typeof caller === 'object' ? actorWithAddress(caller) : (caller ?? 'andon');
    if (this.#waiting >= WAITING_MAX) {
      this.#miss({ actor, action, subject, detail }, 'too many records wait for the disk');
      return Promise.resolve();
    }
    this.#waiting += 1;
    this.#last = this.#last.then(() => this.#append({ actor, action, subject, detail }));
    return this.#last;
  }

  /** Resolves when all records are on disk. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    this.#retry?.cancel();
  }

  /** Reports a key that cannot be read, and reads it again until it can. */
  #checkKey(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    try {
      this.#log.checkKey();
      this.#health.report('ok');
    } catch (error) {
      this.#health.report(
        'degraded',
        `audit-key-unreadable: ${errorMessage(error)}. Acts of operators are not recorded, and models cannot be changed. Let the service read the key that audit.key names`,
        'audit-key-invalid',
      );
      this.#retry = this.#deps.clock.setTimer(() => this.#checkKey(), KEY_RETRY_MS, { background: true });
    }
  }

  async #append(record: Unchained<OperatorEntry>): Promise<void> {
    try {
      using lock = await FileLock.wait(this.#lockPath, LOCK_WAIT_MS_MAX, this.#deps.clock);
      if (lock === undefined) return this.#miss(record, `another process has locked ${this.#lockPath}`);
      await this.#log.append(record);
      this.#health.report('ok');
    } catch (error) {
      this.#miss(record, errorMessage(error));
      this.#checkKey();
    } finally {
      this.#waiting -= 1;
    }
  }

  #miss({ actor, action, subject }: Unchained<OperatorEntry>, reason: string): void {
    this.#metrics.andon_audit_missed_total.inc();
    this.#deps.log.error({ actor, action, subject }, `The audit log has no record of this: ${reason}`);
  }
}

import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { AuditEntry, ModelAction } from '../../contracts/model-audit-entry.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { writeDurably } from '../../platform/durable-file.ts';
import { ConfigError, errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import { FileLock } from '../../platform/file-lock.ts';
import { type AuditRecord, auditRecordSchema } from '../audit/audit-chain.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import { inferenceMetrics } from '../../runtime/queue/inference-metrics.ts';
import type { AuditLog } from '../audit/audit-log.ts';

const LOCK_FILE = '.lock';
/** Audit record of the operation that runs now. The next operation reads it if the process was killed. */
const JOURNAL_FILE = '.act.json';
/**
 * The lock is held for milliseconds: downloads and proofs run without it. A refusal waits as long as a change, because the
 * audit log must have both; on a busy machine several operations may be before it.
 */
const WAIT_MS_MAX = 10_000;
const REASON_LENGTH_MAX = 2_000;
const NAME_LENGTH_MAX = 64;

/** A change of the model directory, as it is logged. Fields that are unknown at first are set while it runs. */
export type Operation = {
  readonly actor: string;
  readonly action: ModelAction;
  model: string;
  version: number | null;
  detail: Record<string, unknown>;
};

const journalSchema = z.strictObject({
  /** Sequence of the last record when the operation began; its own record has a higher one. */
  after: z.int().min(0),
  note: auditRecordSchema,
});
type Journal = z.infer<typeof journalSchema>;

export type RegistryTransactionsOptions = {
  /** Absolute path of the model directory. */
  readonly directory: string;
  readonly audit: AuditLog<AuditEntry>;
  /** Returns whether the directory is in the state that the operation would leave. */
  readonly isApplied: (record: AuditRecord) => Promise<boolean>;
  readonly deps: Deps;
};

/**
 * Runs one operation at a time on the model directory, across all processes. Each operation adds one record to the
 * audit log, also if it is refused or its process is killed.
 */
export class RegistryTransactions {
  readonly #options: RegistryTransactionsOptions;
  readonly #journalPath: string;
  readonly #metrics;

  constructor(options: RegistryTransactionsOptions) {
    this.#options = options;
    this.#journalPath = join(options.directory, JOURNAL_FILE);
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
  }

  /** Runs the work while no other process changes the directory. @throws {OperatingError} 'models-busy', 'model-directory-unusable'. */
  async locked<T>(work: () => Promise<T>): Promise<T> {
    try {
      using _lock = await this.#lock();
      await this.#logInterrupted();
      return await work();
    } catch (error) {
      throw toOperatingError(error, this.#options.directory);
    }
  }

  /**
   * Checks and changes the directory under the lock. The audit record is on disk when this returns.
   *
   * @param steps.check Throws if a precondition no longer holds.
   * @param steps.change The change, as short as possible.
   */
  async commit<T>(
    operation: Operation,
    steps: { readonly check: () => Promise<void>; readonly change: () => Promise<T> },
  ): Promise<T> {
    const result = await this.locked(async () => {
      await steps.check();
      // Without its key, the log could not be continued after the change.
      this.#options.audit.checkKey();
      const record = { ...operation, outcome: 'ok' } as const;
      const journal: Journal = { after: (await this.#options.audit.last())?.sequence ?? 0, note: record };
      await writeDurably(this.#journalPath, JSON.stringify(journal));
      try {
        const changed = await steps.change();
        await this.#options.audit.append(record);
        await this.#clearJournal();
        return changed;
      } catch (error) {
        if (await this.#isApplied(record)) await this.#logInterrupted();
        else await this.#clearJournal();
        throw error;
      }
    });
    this.#report(operation, 'ok', 'Model directory changed.');
    return result;
  }

  /**
   * Runs an operation. If it throws, a refusal is added to the audit log.
   *
   * @throws {OperatingError} The reason for the refusal.
   */
  async attempt<T>(operation: Operation, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const failure = toOperatingError(error, this.#options.directory);
      if (failure instanceof OperatingError) await this.#refuse(operation, failure);
      throw failure;
    }
  }

  async #refuse(operation: Operation, { code, message }: OperatingError): Promise<void> {
    const reason = message.slice(0, REASON_LENGTH_MAX);
    const model = operation.model.slice(0, NAME_LENGTH_MAX);
    const record = { ...operation, model, outcome: 'refused', detail: { ...operation.detail, code, reason } } as const;
    this.#report(operation, 'refused', `Model directory unchanged: ${reason}`);
    try {
      await this.locked(() => this.#options.audit.append(record));
    } catch (error) {
      // The log lacks no change, because nothing was changed. The caller needs the reason of the refusal itself.
      const { action } = operation;
      this.#options.deps.log.error({ action }, `The refusal is not in the audit log: ${errorMessage(error)}`);
    }
  }

  #report({ actor, action, model, version }: Operation, outcome: AuditRecord['outcome'], message: string): void {
    this.#metrics.andon_model_acts_total.inc({ action, outcome });
    const { log } = this.#options.deps;
    log[outcome === 'ok' ? 'info' : 'warn']({ actor, action, model, version }, message);
  }

  async #lock(): Promise<FileLock> {
    const { directory, deps } = this.#options;
    await mkdir(directory, { recursive: true });
    const lock = await waitForLock(join(directory, LOCK_FILE), WAIT_MS_MAX, deps.clock);
    if (lock !== undefined) return lock;
    throw registryFailure(
      'models-busy',
      `Another process locked ${directory} for more than ${WAIT_MS_MAX / 1000} s. Try again when it has finished`,
    );
  }

  async #clearJournal(): Promise<void> {
    await rm(this.#journalPath, { force: true });
  }

  /** Logs an operation that has a journal and no audit record: its process was killed. */
  async #logInterrupted(): Promise<void> {
    const { audit } = this.#options;
    const journal = await this.#readJournal();
    if (journal === undefined) return;
    const { after, note: record } = journal;
    const last = await audit.last();
    const isLogged = last !== undefined && last.sequence > after && last.action !== 'mend';
    if (!isLogged) {
      const isApplied = await this.#isApplied(record);
      const interrupted = isApplied ? 'after the change' : 'before the change';
      const outcome = isApplied ? 'ok' : 'refused';
      await audit.append({ ...record, outcome, detail: { ...record.detail, interrupted } });
    }
    await this.#clearJournal();
  }

  /** A directory that cannot be read counts as not changed: it must not block the next operation. */
  async #isApplied(record: AuditRecord): Promise<boolean> {
    try {
      return await this.#options.isApplied(record);
    } catch (error) {
      if (error instanceof OperatingError || error instanceof ConfigError) return false;
      throw error;
    }
  }

  async #readJournal(): Promise<Journal | undefined> {
    try {
      return journalSchema.parse(JSON.parse(await readFile(this.#journalPath, 'utf8')));
    } catch (error) {
      // The journal is written by rename, so a damaged file was not written by andon.
      if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError || error instanceof z.ZodError)
        return undefined;
      throw error;
    }
  }
}

async function waitForLock(path: string, waitMs: number, clock: Clock): Promise<FileLock | undefined> {
  try {
    return await FileLock.wait(path, waitMs, clock);
  } catch (error) {
    throw unusable(`${path}: ${errorMessage(error)}`, error);
  }
}

/** Converts errors of files and of the configuration; every other error passes unchanged. */
function toOperatingError(error: unknown, directory: string): unknown {
  if (error instanceof ConfigError) return inferenceFailure('model-file-invalid', error.message, { cause: error });
  // An error of a write has no path: the message names the directory instead.
  if (error instanceof Error && 'syscall' in error)
    return unusable('path' in error ? error.message : `${directory}: ${error.message}`, error);
  return error;
}

function unusable(message: string, cause: unknown): OperatingError {
  return registryFailure('model-directory-unusable', message, { cause });
}

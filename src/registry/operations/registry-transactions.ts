import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { ModelAction } from '../../contracts/model-registry.ts';
import { sleep } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { writeDurably } from '../../platform/durable-file.ts';
import { ConfigError, errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import { FileLock } from '../../platform/file-lock.ts';
import type { AuditRecord } from '../audit/audit-chain.ts';
import { auditRecordSchema } from '../audit/audit-chain.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { inferenceMetrics } from '../../runtime/queue/inference-metrics.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';

const LOCK_FILE = '.lock';
/** The line of the act that is being done, for whoever finds it where its process was killed. */
const JOURNAL_FILE = '.act.json';
const LOOK_MS = 20;
/** Under the lock nothing is done that takes long: no download, no verification. */
const WAIT_MS_MAX = 10_000;
/** A refusal is told soon, though it may have waited for the directory already. */
const REFUSAL_WAIT_MS_MAX = 1_000;
const REASON_LENGTH_MAX = 2_000;
const NAME_LENGTH_MAX = 64;

/** An act as it will stand in the log; what it is about may be known only in its course. */
export type Act = {
  readonly actor: string;
  readonly action: ModelAction;
  model: string;
  version: number | null;
  detail: Record<string, unknown>;
};

const journalSchema = z.strictObject({
  /** Sequence of the last line when the act began; its own line comes after. */
  after: z.int().min(0),
  note: auditRecordSchema,
});
type Journal = z.infer<typeof journalSchema>;

export type RegistryTransactionsOptions = {
  /** The model directory. */
  readonly directory: string;
  readonly audit: AuditLog;
  /** Whether the directory is as the act would have left it. */
  readonly isApplied: (note: AuditRecord) => Promise<boolean>;
  readonly deps: Deps;
};

/**
 * Does one act at a time on the model directory, in all processes together, and leaves one line in the log for each,
 * also where it was refused or the process was killed in its midst.
 */
export class RegistryTransactions {
  readonly #options: RegistryTransactionsOptions;
  readonly #metrics;

  constructor(options: RegistryTransactionsOptions) {
    this.#options = options;
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
  }

  /** Does the work with the directory to itself. @throws {OperatingError} 'models-busy', 'model-directory-unusable'. */
  async locked<T>(work: () => Promise<T>, waitMs = WAIT_MS_MAX): Promise<T> {
    try {
      using _lock = await this.#lock(waitMs);
      await this.#settleInterrupted();
      return await work();
    } catch (error) {
      throw asFailure(error, this.#options.directory);
    }
  }

  /**
   * Checks and changes the directory, and has the act in the log before it is told as done.
   *
   * @param steps.check What must still hold now that nobody else changes anything; throws where it does not.
   * @param steps.change The change itself, as short as it can be.
   */
  async commit<T>(
    act: Act,
    steps: { readonly check: () => Promise<void>; readonly change: () => Promise<T> },
  ): Promise<T> {
    const result = await this.locked(async () => {
      await steps.check();
      const note = { ...act, outcome: 'ok' } as const;
      await this.#begin(note);
      try {
        const changed = await steps.change();
        await this.#options.audit.append(note);
        await this.#end();
        return changed;
      } catch (error) {
        if (await this.#isApplied(note)) await this.#settleInterrupted();
        else await this.#end();
        throw error;
      }
    });
    this.#tell(act, 'ok', 'Model directory changed.');
    return result;
  }

  /**
   * Runs an act; where it throws, the refusal goes into the log.
   *
   * @throws {OperatingError} Whatever kept it from being done.
   */
  async attempt<T>(act: Act, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const failure = asFailure(error, this.#options.directory);
      if (failure instanceof OperatingError) await this.#refuse(act, failure);
      throw failure;
    }
  }

  async #refuse(act: Act, { code, message }: OperatingError): Promise<void> {
    const reason = message.slice(0, REASON_LENGTH_MAX);
    const model = act.model.slice(0, NAME_LENGTH_MAX);
    const note = { ...act, model, outcome: 'refused', detail: { ...act.detail, code, reason } } as const;
    this.#tell(act, 'refused', `Model directory unchanged: ${reason}`);
    try {
      await this.locked(() => this.#options.audit.append(note), REFUSAL_WAIT_MS_MAX);
    } catch (error) {
      // Nothing was changed, so that the log lacks no change; what the caller must hear is why.
      this.#options.deps.log.error({ action: act.action }, `The refusal is not in the log: ${errorMessage(error)}`);
    }
  }

  #tell({ actor, action, model, version }: Act, outcome: AuditRecord['outcome'], message: string): void {
    this.#metrics.andon_model_acts_total.inc({ action, outcome });
    const { log } = this.#options.deps;
    const fields = { actor, action, model, version };
    if (outcome === 'ok') log.info(fields, message);
    else log.warn(fields, message);
  }

  async #lock(waitMs: number): Promise<FileLock> {
    const { directory, deps } = this.#options;
    await mkdir(directory, { recursive: true });
    const endMs = deps.clock.monotonicMs() + waitMs;
    for (;;) {
      const lock = takeLock(join(directory, LOCK_FILE));
      if (lock !== undefined) return lock;
      if (deps.clock.monotonicMs() > endMs)
        throw registryFailure('models-busy', `Another process has had ${directory} locked for ${waitMs} ms`);
      await sleep(deps.clock, LOOK_MS);
    }
  }

  get #journalPath(): string {
    return join(this.#options.directory, JOURNAL_FILE);
  }

  /** Notes what is about to be done, so that it is in the log whatever happens from here on. */
  async #begin(note: AuditRecord): Promise<void> {
    const last = await this.#options.audit.last();
    const journal: Journal = { after: last?.sequence ?? 0, note };
    await writeDurably(this.#journalPath, JSON.stringify(journal));
  }

  async #end(): Promise<void> {
    await rm(this.#journalPath, { force: true });
  }

  /** Writes the line of an act that was begun and is not in the log: that of a process which was killed. */
  async #settleInterrupted(): Promise<void> {
    const { audit } = this.#options;
    const journal = await this.#interrupted();
    if (journal === undefined) return;
    const { after, note } = journal;
    const last = await audit.last();
    const isInLog = last !== undefined && last.sequence > after && last.action !== 'mend';
    if (!isInLog) {
      const done = await this.#isApplied(note);
      const interrupted = done ? 'after the change' : 'before the change';
      await audit.append({ ...note, outcome: done ? 'ok' : 'refused', detail: { ...note.detail, interrupted } });
    }
    await this.#end();
  }

  /** Where the directory cannot be read, nothing is as the act would have left it; the next act must not fail by that. */
  async #isApplied(note: AuditRecord): Promise<boolean> {
    try {
      return await this.#options.isApplied(note);
    } catch (error) {
      if (error instanceof OperatingError || error instanceof ConfigError) return false;
      throw error;
    }
  }

  async #interrupted(): Promise<Journal | undefined> {
    try {
      return journalSchema.parse(JSON.parse(await readFile(this.#journalPath, 'utf8')));
    } catch (error) {
      // It is written whole or not at all: what cannot be read is none of ours.
      if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError || error instanceof z.ZodError)
        return undefined;
      throw error;
    }
  }
}

function takeLock(path: string): FileLock | undefined {
  try {
    return FileLock.take(path, 0);
  } catch (error) {
    throw unusable(`${path}: ${errorMessage(error)}`, error);
  }
}

/** What an operator is told; an error of our own making stays what it is. */
function asFailure(error: unknown, directory: string): unknown {
  if (error instanceof ConfigError) return inferenceFailure('model-file-invalid', error.message, { cause: error });
  // A write names no file: a full disk is told with where it is full.
  if (error instanceof Error && 'syscall' in error)
    return unusable('path' in error ? error.message : `${directory}: ${error.message}`, error);
  return error;
}

function unusable(message: string, cause: unknown): OperatingError {
  return registryFailure('model-directory-unusable', message, { cause });
}

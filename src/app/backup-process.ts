import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Backup, BackupJob, BackupOutcome } from '../contracts/operation/maintenance.ts';
import { formatByteSize } from '../domain/byte-size.ts';
import { type ErrorCatalogue, errorMessage, failures, OperatingError, retry } from '../platform/errors.ts';
import { childFlags, YOUNG_MB } from '../platform/heap-flags.ts';

/** Errors of backups for a download. */
export const backupDownloadErrors = {
  'backup-running': retry('Another backup is being written.', 'Wait until it has been downloaded.'),
  'backup-no-room': retry(
    'The disk of the outbox has too little room for a backup next to the records. Nothing was written.',
    'Leave the sample history out, run `andon backup --out` on another disk, or make room.',
  ),
  'backup-process-lost': retry(
    'The process that writes a backup ended before it was done.',
    'See the log, then try again. If it repeats, run `andon backup`.',
  ),
} as const satisfies ErrorCatalogue;
const failure = failures(backupDownloadErrors);

/** Room that a backup leaves for the records. */
const ROOM_BYTES = 256_000_000;

export type BackupProcessOptions = {
  /** The process's entry file, `src/hosts/backup-host.ts`. */
  readonly entry: URL;
  /** Environment with the secrets of the configuration, which is read again. */
  readonly env: () => NodeJS.ProcessEnv;
  readonly configFile: string;
  readonly agentId: string;
  readonly outboxPath: string;
};

/** Writes backups for downloads, one at a time, each in a child process of low priority. */
export class BackupProcess implements Disposable {
  readonly #options: BackupProcessOptions;
  readonly #ending = new AbortController();
  #isRunning = false;

  constructor(options: BackupProcessOptions) {
    this.#options = options;
  }

  /** @throws {OperatingError} 'backup-running' | 'backup-no-room' | 'backup-process-lost' | 'backup-failed' (retry). */
  async write({ passphrase, history, nowMs }: Omit<BackupJob, 'configFile' | 'file'>): Promise<Backup> {
    if (this.#isRunning) throw failure('backup-running', 'Another backup is being written or sent');
    this.#isRunning = true;
    const { agentId, configFile, entry, env, outboxPath } = this.#options;
    let folder: string | undefined;
    const remove = async (): Promise<void> => {
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
      this.#isRunning = false;
    };
    try {
      await checkRoom(outboxPath, history);
      folder = await mkdtemp(join(dirname(outboxPath), '.andon-download-'));
      const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
      const name = `andon-${agentId}-${time}.tar.gz${passphrase === undefined ? '' : '.enc'}`;
      const path = join(folder, name);
      const child = fork(entry, {
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
        env: env(),
        signal: this.#ending.signal,
        killSignal: 'SIGKILL',
        execArgv: [...childFlags(YOUNG_MB)],
      });
      const job: BackupJob = { configFile, file: path, passphrase, history, nowMs };
      child.send(job, () => undefined);
      const outcome = await outcomeOf(child);
      if ('failure' in outcome) throw new OperatingError(outcome.failure.code, 'retry', outcome.failure.reason);
      return { name, path, [Symbol.asyncDispose]: remove };
    } catch (error) {
      await remove();
      throw error;
    }
  }

  /** Ends a backup that is being written. */
  [Symbol.dispose](): void {
    this.#ending.abort();
  }
}

/** A backup first copies the databases, and then packs them. */
async function checkRoom(outboxPath: string, history: boolean): Promise<void> {
  const folder = dirname(outboxPath);
  const names = ['outbox.db', 'alarms.db', ...(history ? ['history.db'] : [])].map((name) => join(folder, name));
  const bytes = [outboxPath, ...names.slice(1)]
    .flatMap((path) => [path, `${path}-wal`])
    .reduce((sum, path) => sum + (existsSync(path) ? statSync(path).size : 0), 0);
  const { bavail, bsize } = await statfs(folder);
  const [needed, free] = [2 * bytes + ROOM_BYTES, bavail * bsize];
  if (free >= needed) return;
  const text = `A backup needs up to ${formatByteSize(needed)} in ${folder}, and ${formatByteSize(free)} are free`;
  throw failure('backup-no-room', text);
}

function outcomeOf(child: ChildProcess): Promise<BackupOutcome> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => reject(failure('backup-process-lost', `The backup process ${reason}`));
    // The child is andon's own code: it sends one message and ends.
    child.once('message', (outcome) => resolve(outcome as BackupOutcome));
    child.on('error', (error) => fail(`could not be started or reached: ${errorMessage(error)}`));
    child.once('exit', (code, killedBy) =>
      fail(killedBy === null ? `ended with code ${code}` : `ended with ${killedBy}`),
    );
  });
}

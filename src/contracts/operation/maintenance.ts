import type { EpochMs } from '../../domain/epoch-ms.ts';

/** First record that is sent again: its sequence, or the time of the oldest. */
export type RewindStart = { readonly sequence: number } | { readonly timeMs: EpochMs };

export type Rewound = {
  /** First sequence that is sent again. */
  readonly from: number;
  /** Time of that record. */
  readonly fromMs: EpochMs;
  /** Records that wait for the uplink now, and before. */
  readonly waiting: number;
  readonly waitedBefore: number;
};

/** Order for the process that writes a backup. */
export type BackupJob = {
  readonly configFile: string;
  /** Path of the new file. */
  readonly file: string;
  /** Undefined leaves the backup unencrypted. */
  readonly passphrase: string | undefined;
  /** False leaves the sample history out. */
  readonly history: boolean;
  readonly nowMs: EpochMs;
};

export type BackupOutcome =
  | { readonly files: number }
  | { readonly failure: { readonly code: string; readonly reason: string } };

/** A backup that waits to be sent. Disposal removes it. */
export type Backup = AsyncDisposable & {
  /** Proposed name: `andon-<agent>-<time>.tar.gz`, with `.enc` if it is encrypted. */
  readonly name: string;
  readonly path: string;
};

/** What a person does to keep the agent in order. */
export interface Maintenance {
  /** Returns the last lines of the log as JSON texts, oldest first. */
  recentLog(): readonly string[];
  /**
   * Writes a backup in a process of its own, while the agent runs.
   *
   * @throws {OperatingError} 'backup-running' | 'backup-no-room' | 'backup-failed' (retry).
   */
  backup(options: Pick<BackupJob, 'passphrase' | 'history'>): Promise<Backup>;
  /**
   * Restarts an uplink at an earlier record, so that it sends delivered records again.
   *
   * @throws {OperatingError} 'rewind-refused' (reject); errors of the outbox (retry).
   */
  rewind(uplink: string, from: RewindStart): Promise<Rewound>;
}

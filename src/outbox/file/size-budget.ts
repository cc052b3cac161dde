import { PAGE_BYTES, type SqliteDatabase } from './database-file.ts';

/** Header of a page in the WAL. */
const WAL_FRAME_BYTES = 24;
/** Part of the size that the WAL may have. */
const WAL_PART = 1 / 8;
/** Steps of the WAL within its part, see `SizeBudget`. */
const WAL_STEPS = 4;
/** A step must hold a few commits, and more than 16 MB make no commit faster. */
const STEP_PAGES_MIN = 16;
const STEP_PAGES_MAX = 4000;
/** The -shm file has a block of 32 kB for each 4096 pages of the WAL; the first one has fewer. */
const SHM_BLOCK_BYTES = 32_768;
const SHM_BLOCK_PAGES = 4096;

/**
 * Division of `outbox.maxSize` between a database and its WAL, so that the database, -wal and -shm files together stay within it.
 * The WAL has four steps of equal size: another connection checkpoints it after the first, and makes commits wait for that
 * after the second. After the third, the connection that commits checkpoints it itself. The fourth holds the last commit.
 */
export type SizeBudget = {
  /** Maximum size of the database. */
  readonly fileBytes: number;
  /** Pages of one step of the WAL. */
  readonly walStepPages: number;
  /** Size of one step of the WAL. */
  readonly walStepBytes: number;
};

/** @param bytesMax Maximum size of the files together. */
export function sizeBudget(bytesMax: number): SizeBudget {
  const partPages = Math.floor((bytesMax / PAGE_BYTES) * WAL_PART);
  const walStepPages = Math.max(STEP_PAGES_MIN, Math.min(STEP_PAGES_MAX, Math.floor(partPages / WAL_STEPS)));
  const walStepBytes = walStepPages * (PAGE_BYTES + WAL_FRAME_BYTES);
  const shmBytes = SHM_BLOCK_BYTES * (1 + Math.floor((WAL_STEPS * walStepPages) / SHM_BLOCK_PAGES));
  const filePages = Math.floor((bytesMax - WAL_STEPS * walStepBytes - shmBytes) / PAGE_BYTES);
  return { fileBytes: filePages * PAGE_BYTES, walStepPages, walStepBytes };
}

/** Lets another connection checkpoint the WAL. This one does it only after the third step of the WAL. */
export function leaveCheckpoints(database: SqliteDatabase, { walStepPages, walStepBytes }: SizeBudget): void {
  database.pragma(`wal_autocheckpoint = ${3 * walStepPages}`);
  database.pragma(`journal_size_limit = ${walStepBytes}`);
}

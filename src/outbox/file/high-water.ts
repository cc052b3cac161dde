import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncFolderSync } from '../../platform/durable-file.ts';

/** Content of the high-water file of an outbox. */
export type HighWaterMark = {
  readonly epoch: string;
  /** Highest sequence that was on disk before this mark was written. */
  readonly sequence: number;
  /** Every uplink has acknowledged every sequence up to this one. */
  readonly delivered: number;
  /** Boot id of Linux, undefined on other systems. Distinguishes a killed process from a power cut. */
  readonly boot?: string | undefined;
  /** Inode of the database: a replaced file has another one. */
  readonly inode: number;
  /** True after a clean close: the sequence is exact. */
  readonly clean: boolean;
};

/** A slot is one sector of a disk, which is written completely or not at all. */
const SLOT_BYTES = 512;

/**
 * The file `<outbox>.high-water`, which proves what was committed.
 *
 * Two slots are written in turn, each a line of JSON after its CRC. If one is torn, the other is valid. `write` reaches
 * the page cache only, which survives a killed process, but not a power cut or a file system that fails. So the mark
 * proves where the sequence ended only if it is from a clean close.
 */
export class HighWaterFile {
  readonly #path: string;
  #fd: number | undefined;
  #turn = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Returns the newest valid slot; undefined if there is none. */
  read(): HighWaterMark | undefined {
    if (!existsSync(this.#path)) return undefined;
    const bytes = readFileSync(this.#path);
    const slots = [parseSlot(bytes.subarray(0, SLOT_BYTES)), parseSlot(bytes.subarray(SLOT_BYTES, 2 * SLOT_BYTES))];
    return slots.filter((slot) => slot !== undefined).toSorted((a, b) => b.turn - a.turn)[0]?.mark;
  }

  /** Replaces the file. The mark is on disk when this returns. */
  begin(mark: HighWaterMark): void {
    this.close();
    const temporary = `${this.#path}.new`;
    const fd = openSync(temporary, 'w', 0o640);
    this.#turn = 0;
    try {
      writeSync(fd, Buffer.concat([slotBytes(mark, this.#turn), slotBytes(mark, this.#turn)]), 0, 2 * SLOT_BYTES, 0);
      fsyncSync(fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    renameSync(temporary, this.#path);
    this.#fd = fd;
    syncFolderSync(dirname(this.#path));
  }

  /** Called after each commit; takes about 3 µs. */
  write(mark: HighWaterMark): void {
    if (this.#fd === undefined) return;
    this.#turn += 1;
    writeSync(this.#fd, slotBytes(mark, this.#turn), 0, SLOT_BYTES, (this.#turn % 2) * SLOT_BYTES);
  }

  sync(): void {
    if (this.#fd !== undefined) fdatasyncSync(this.#fd);
  }

  close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) closeSync(fd);
  }
}

function slotBytes(mark: HighWaterMark, turn: number): Buffer {
  const text = JSON.stringify({ turn, ...mark });
  return Buffer.from(`${crc32(text).toString(16).padStart(8, '0')} ${text}`.padEnd(SLOT_BYTES - 1).concat('\n'));
}

function parseSlot(bytes: Uint8Array): { readonly turn: number; readonly mark: HighWaterMark } | undefined {
  const text = Buffer.from(bytes).toString('utf8').trimEnd();
  const json = text.slice(9);
  if (Number.parseInt(text.slice(0, 8), 16) !== crc32(json)) return undefined;
  // The CRC proves that `slotBytes` wrote this text.
  const { turn, ...mark } = JSON.parse(json) as HighWaterMark & { readonly turn: number };
  return { turn, mark };
}

/** Returns Linux's boot id; undefined on other systems, so that every unclean end counts as a power cut. */
export function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}

export function inodeOf(path: string): number {
  return statSync(path).ino;
}

/** Last position in the database file. */
export type DatabasePosition = {
  /** Oldest first; the last is the current one. */
  readonly epochs: readonly string[];
  /** Highest sequence in the file. */
  readonly sequence: number;
  readonly inode: number;
};

/** How the agent before ended. */
export type PreviousEnd =
  | 'clean-stop'
  /** The process ended, and the machine did not. */
  | 'crash'
  /** The machine ended: power cut, reset, or a kernel that stopped. */
  | 'power-cut'
  /** A restored or moved outbox, without its high-water file. */
  | 'unknown'
  /** There was none: the outbox is new. */
  | 'none';

export function previousEnd(
  mark: HighWaterMark | undefined,
  position: DatabasePosition,
  boot: string | undefined,
): PreviousEnd {
  if (mark === undefined) return position.epochs.length === 0 ? 'none' : 'unknown';
  if (mark.clean) return 'clean-stop';
  return boot !== undefined && boot === mark.boot ? 'crash' : 'power-cut';
}

export type Continuity =
  | { readonly type: 'proven' }
  /** A new epoch begins. `lost` are sequences of the old epoch that were given out and are missing. */
  | {
      readonly type: 'unproven';
      readonly why: string;
      readonly lost: { readonly from: number; readonly to: number } | undefined;
    };

/**
 * Decides if the sequence can continue at the end of the database, so that no id is given twice.
 *
 * The mark is written after its commit and before the ids are returned. A database behind the mark proves a loss. A mark
 * that is not from a clean close does not prove that there was none: after a power cut it may be old, and a commit that
 * was under way while ext4 failed returned in 1 of 5 runs without being on disk. So a new epoch begins.
 *
 * @param isOwn True for the mark in the memory of this storage, which is exact: the file was closed after an error.
 */
export function judgeContinuity(
  mark: HighWaterMark | undefined,
  position: DatabasePosition,
  isOwn: boolean,
): Continuity {
  const epoch = position.epochs.at(-1);
  if (mark === undefined)
    return epoch === undefined
      ? unproven('the outbox is new')
      : unproven('there is no high-water file to prove where the sequence ended');
  if (!position.epochs.includes(mark.epoch)) {
    const lost = mark.sequence > mark.delivered ? { from: mark.delivered + 1, to: mark.sequence } : undefined;
    return unproven(`the database is not the one that epoch ${mark.epoch} was written to`, lost);
  }
  // The process ended after the database began a newer epoch with its losses, and before the mark was written.
  if (mark.epoch !== epoch) return { type: 'proven' };
  if (position.sequence < mark.sequence)
    return unproven(`the database ends at ${position.sequence}, but ${mark.sequence} was committed`, {
      from: position.sequence + 1,
      to: mark.sequence,
    });
  if (position.inode !== mark.inode) return unproven('the database file was replaced');
  if (isOwn) return { type: 'proven' };
  if (!mark.clean) return unproven('the agent did not stop cleanly');
  return position.sequence === mark.sequence ? { type: 'proven' } : unproven('another process wrote to the database');
}

function unproven(why: string, lost?: { readonly from: number; readonly to: number }): Continuity {
  return { type: 'unproven', why, lost };
}

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

/** What the high-water file says about the outbox beside it. */
export type HighWaterMark = {
  readonly epoch: string;
  /** Highest sequence whose commit was on disk before this was written. */
  readonly sequence: number;
  /** Every uplink had everything up to here. */
  readonly delivered: number;
  /** Linux's boot id, '' where there is none: tells a killed process from a power cut. */
  readonly boot: string;
  /** Inode of the database: another file under the same name is not the one this was written for. */
  readonly inode: number;
  /** Set by a clean close: the sequence is exact. */
  readonly clean: boolean;
};

/** A slot is smaller than a disk's sector, so that it is written whole or not at all. */
const SLOT_BYTES = 512;

/**
 * The sidecar that proves what was committed: `<outbox>.high-water`.
 *
 * Two slots are written in turn, each a line of JSON after its CRC; a torn slot leaves the other. `write` goes to
 * the page cache only, which survives the death of the process but not of the machine; the boot id tells which of
 * the two it was.
 */
export class HighWaterFile {
  readonly #path: string;
  #fd: number | undefined;
  #turn = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** The newest valid slot; undefined where there is none. */
  read(): HighWaterMark | undefined {
    if (!existsSync(this.#path)) return undefined;
    const bytes = readFileSync(this.#path);
    const slots = [parseSlot(bytes.subarray(0, SLOT_BYTES)), parseSlot(bytes.subarray(SLOT_BYTES, 2 * SLOT_BYTES))];
    return slots.filter((slot) => slot !== undefined).toSorted((a, b) => b.turn - a.turn)[0]?.mark;
  }

  /** Replaces the file by one that says `mark`, on disk when this returns. */
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
    syncFolder(dirname(this.#path));
  }

  /** After each commit; about 3 µs. */
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
  // The CRC says that this is a text that `slotBytes` made.
  const { turn, ...mark } = JSON.parse(json) as HighWaterMark & { readonly turn: number };
  return { turn, mark };
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Linux's id of this boot; '' elsewhere, which makes every unclean end look like a power cut. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

export function inodeOf(path: string): number {
  return statSync(path).ino;
}

/** What the database itself says. */
export type DatabasePlace = {
  /** Oldest first; the last is the present one. */
  readonly epochs: readonly string[];
  /** Highest sequence it ever gave out, as far as it knows. */
  readonly sequence: number;
  readonly inode: number;
};

export type Continuity =
  | { readonly type: 'proven' }
  /** A new epoch begins; `lost` are sequences of the old one that were given out and are not here. */
  | {
      readonly type: 'unproven';
      readonly why: string;
      readonly lost: { readonly from: number; readonly to: number } | undefined;
    };

/**
 * Judges whether the sequence can go on where the database ends, so that no id is ever given twice.
 *
 * The mark is written after its commit and before anyone hears of it. So a killed process can only leave the
 * database ahead of the mark, never behind: behind is proof of loss. After a power cut the mark may be old and
 * still proves loss, but no longer proves that there was none, so a new epoch begins without a loss.
 */
export function judgeContinuity(mark: HighWaterMark | undefined, place: DatabasePlace, boot: string): Continuity {
  const epoch = place.epochs.at(-1);
  if (mark === undefined)
    return epoch === undefined
      ? unproven('the outbox is new')
      : unproven('there is no high-water file to prove where the sequence ended');
  if (!place.epochs.includes(mark.epoch)) {
    const lost = mark.sequence > mark.delivered ? { from: mark.delivered + 1, to: mark.sequence } : undefined;
    return unproven(`the database is not the one that epoch ${mark.epoch} was written to`, lost);
  }
  // The database's newer epoch was begun, its losses with it, and the process ended before the mark followed.
  if (mark.epoch !== epoch) return { type: 'proven' };
  if (place.sequence < mark.sequence)
    return unproven(`the database ends at ${place.sequence}, and ${mark.sequence} was committed`, {
      from: place.sequence + 1,
      to: mark.sequence,
    });
  if (place.inode !== mark.inode) return unproven('the database is another file than before');
  if (mark.clean)
    return place.sequence === mark.sequence ? { type: 'proven' } : unproven('somebody else wrote to the database');
  return boot !== '' && boot === mark.boot ? { type: 'proven' } : unproven('the machine stopped without a clean close');
}

function unproven(why: string, lost?: { readonly from: number; readonly to: number }): Continuity {
  return { type: 'unproven', why, lost };
}

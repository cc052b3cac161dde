import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as z from 'zod';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import type { Clock } from '../../platform/clock.ts';
import { syncFolder } from '../../platform/durable-file.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import { sha256 } from '../../platform/sha256.ts';
import {
  type AuditFormat,
  auditLine,
  CHAIN_BEGIN,
  type Chained,
  type ChainPosition,
  positionAfter,
  readAuditLine,
  type Unchained,
} from './audit-chain.ts';
import { ChainCheck, joinLines, splitLines } from './chain-check.ts';

const FILE = 'audit.jsonl';
const ROTATED_FILE = 'audit.1.jsonl';
/** About 8,000 records. One rotated file is kept, so the log takes at most twice this size. */
const FILE_BYTES_MAX = 4_000_000;
/** Bytes of an unreadable part that are copied into the record about it. */
const SHOWN_BYTES_MAX = 200;
/** Lines checked before other work of the thread gets a turn. */
const LINES_PER_TURN = 100;
const LINE_BREAK = 10;
/** What the position of a line needs, in a log of any content. */
const positionSchema = z.looseObject({ sequence: z.int(), previous: z.string() });
const FIRST: ChainPosition = { sequence: 1, previous: CHAIN_BEGIN };

export type ChainReport<Entry> = {
  /** All readable records before the first fault, oldest first. */
  readonly entries: readonly Entry[];
  /** The first line that breaks the chain; undefined if the chain is intact. */
  readonly broken: { readonly file: string; readonly line: number; readonly reason: string } | undefined;
};

/**
 * An audit log: `audit.jsonl` of a folder, one JSON object per line, each with the hash of the line before.
 * A line that is changed, deleted or inserted breaks the chain.
 *
 * The file is only appended to. A line that a crash cut off stays; the next record, a `mend`, contains its hash.
 */
export class AuditLog<Entry extends Chained> {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #format: AuditFormat<Entry>;

  /** @param directory Path of the folder of the log. */
  constructor(directory: string, clock: Clock, format: AuditFormat<Entry>) {
    this.#directory = directory;
    this.#clock = clock;
    this.#format = format;
  }

  /** Appends a record and syncs it to disk. One call at a time: the caller holds a lock or is the only writer. */
  async append(record: Unchained<Entry>): Promise<void> {
    const { position, prefix, repair } = await this.#end();
    const nowMs = this.#clock.nowMs();
    let text = prefix;
    let at = position;
    for (const each of repair === undefined ? [record] : [repair, record]) {
      const line = auditLine(each, at, nowMs);
      text += `${line}\n`;
      at = positionAfter({ sequence: at.sequence, hash: line.slice(-66, -2) });
    }
    await using file = await open(join(this.#directory, FILE), 'a', 0o640);
    await file.appendFile(text);
    await file.sync();
    await syncFolder(this.#directory);
  }

  /** Returns the last readable entry; undefined if there is none. */
  async last(): Promise<Entry | undefined> {
    return this.#lastEntry(await this.#read(FILE)).entry ?? this.#lastEntry(await this.#read(ROTATED_FILE)).entry;
  }

  /** Reads the log and checks its chain from the first line to the last. */
  async report(): Promise<ChainReport<Entry>> {
    const report = await this.#check();
    // A second look: another process may have appended a line, or rotated the file, during the first one.
    return report.broken === undefined ? report : this.#check();
  }

  async #check(): Promise<ChainReport<Entry>> {
    const entries: Entry[] = [];
    let expected: ChainPosition | undefined;
    for (const file of [ROTATED_FILE, FILE]) {
      const bytes = await this.#read(file);
      const check = new ChainCheck(expected ?? firstPosition(file, bytes), this.#format.schema);
      for (const [index, line] of splitLines(bytes).entries()) {
        if (index % LINES_PER_TURN === 0) await nextTurn();
        const { entry, fault } = check.take(line);
        if (fault !== undefined) return { entries, broken: { file, ...fault } };
        if (entry !== undefined) entries.push(entry);
      }
      const fault = check.end();
      if (fault !== undefined) return { entries, broken: { file, ...fault } };
      if (bytes.length > 0) expected = check.position;
    }
    return { entries, broken: undefined };
  }

  /** Returns where the next record goes, and what must be written before it. */
  async #end(): Promise<{
    readonly position: ChainPosition;
    readonly prefix: string;
    readonly repair?: Unchained<Entry>;
  }> {
    const bytes = await this.#read(FILE);
    const { entry, end } = this.#lastEntry(bytes);
    // A file without an entry continues the rotated one.
    const last = entry ?? this.#lastEntry(await this.#read(ROTATED_FILE)).entry;
    const position = last === undefined ? FIRST : positionAfter(last);
    const prefix = bytes.length === 0 || bytes.at(-1) === LINE_BREAK ? '' : '\n';
    const unread = bytes.subarray(entry === undefined ? 0 : end + 1);
    if (unread.length > 0)
      return { position, prefix, repair: this.#format.repair(repairDetail(joinLines(splitLines(unread)))) };
    if (bytes.length <= FILE_BYTES_MAX) return { position, prefix };
    await rename(join(this.#directory, FILE), join(this.#directory, ROTATED_FILE));
    return { position, prefix: '' };
  }

  /** Returns the last readable entry and the offset of its end, without its line break. */
  #lastEntry(bytes: Buffer): { readonly entry: Entry | undefined; readonly end: number } {
    let end = bytes.length;
    while (end > 0) {
      const begin = bytes.lastIndexOf(LINE_BREAK, end - 1) + 1;
      const entry = readAuditLine(bytes.subarray(begin, end).toString(), this.#format.schema);
      if (typeof entry !== 'string') return { entry, end };
      end = begin - 1;
    }
    return { entry: undefined, end: 0 };
  }

  async #read(file: string): Promise<Buffer> {
    try {
      return await readFile(join(this.#directory, file));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return Buffer.alloc(0);
      throw registryFailure('model-directory-unusable', `${file} cannot be read: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }
}

/**
 * Returns the position of the first line of a file. A rotated file of full size may have replaced an older one: its
 * chain then begins at its own first line.
 */
function firstPosition(file: string, bytes: Buffer): ChainPosition {
  if (file !== ROTATED_FILE || bytes.length <= FILE_BYTES_MAX) return FIRST;
  const first = readAuditLine(splitLines(bytes)[0]?.toString() ?? '', positionSchema);
  return typeof first === 'string' ? FIRST : first;
}

function repairDetail(unread: Buffer): Chained['detail'] {
  return {
    reason: 'The text before this line could not be read: a crash cut it off, or it was changed',
    unread_bytes: unread.length,
    unread_sha256: sha256(unread),
    unread_begins: unread.subarray(0, SHOWN_BYTES_MAX).toString(),
  };
}

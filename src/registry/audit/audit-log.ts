import { createHash } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuditEntry, AuditReport } from '../../contracts/model-registry.ts';
import type { Clock } from '../../platform/clock.ts';
import { syncFolder } from '../../platform/durable-file.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import type { AuditRecord, ChainPosition } from './audit-chain.ts';
import { auditLine, CHAIN_BEGIN, chainFault, positionAfter, readAuditLine } from './audit-chain.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';

const FILE = 'audit.jsonl';
const ROTATED_FILE = 'audit.1.jsonl';
/** Some eight thousand acts. The file before it is kept, so that the log takes twice as much at most. */
const FILE_BYTES_MAX = 4_000_000;
/** Of what could not be read: enough for a person to see what it was. */
const SHOWN_BYTES_MAX = 200;
/** Lines that are checked before whatever else the thread has to do gets its turn. */
const LINES_A_TURN = 100;
const LINE_BREAK = 10;

/**
 * The log of what was done to the model directory and what was refused: `audit.jsonl`, a JSON object a line, each with
 * the hash of the one before, so that a line that is changed, taken out or put in shows.
 *
 * It is only ever added to. What a crash cut off stays where it is, and the next line, a `mend`, names its hash.
 */
export class AuditLog {
  readonly #directory: string;
  readonly #clock: Clock;

  /** @param directory The model directory. */
  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  /** Adds a line and brings it on to the disk. Whoever calls has the lock of the model directory. */
  async append(note: AuditRecord): Promise<void> {
    const { position, prefix, mend } = await this.#end();
    const nowMs = this.#clock.nowMs();
    const lines: string[] = [];
    let at = position;
    for (const each of mend === undefined ? [note] : [mend, note]) {
      const line = auditLine(each, at, nowMs);
      lines.push(`${line}\n`);
      at = { sequence: at.sequence + 1, previous: line.slice(-66, -2) };
    }
    await using file = await open(join(this.#directory, FILE), 'a', 0o640);
    await file.appendFile(prefix + lines.join(''));
    await file.sync();
    await syncFolder(this.#directory);
  }

  /** The last line that can be read; undefined where there is none. */
  async last(): Promise<AuditEntry | undefined> {
    return lastEntry(await this.#read(FILE)).entry ?? lastEntry(await this.#read(ROTATED_FILE)).entry;
  }

  /** Reads the log and checks its chain from the first line to the last. */
  async report(): Promise<AuditReport> {
    const report = await this.#check();
    // What looks broken may have been read while another process wrote a line, or began a new file.
    return report.broken === undefined ? report : this.#check();
  }

  async #check(): Promise<AuditReport> {
    const entries: AuditEntry[] = [];
    let expected: ChainPosition | undefined;
    for (const file of [ROTATED_FILE, FILE]) {
      const bytes = await this.#read(file);
      const check = new ChainCheck(expected ?? firstPosition(file, bytes));
      for (const [index, line] of linesOf(bytes).entries()) {
        if (index % LINES_A_TURN === 0) await nextTurn();
        const fault = check.take(line);
        if (fault !== undefined) return { entries, broken: { file, ...fault } };
        if (check.last !== undefined) entries.push(check.last);
      }
      const torn = check.unread();
      if (torn !== undefined) return { entries, broken: { file, ...torn } };
      if (bytes.length > 0) expected = check.position;
    }
    return { entries, broken: undefined };
  }

  /** Where the next line goes, and what must stand before it. */
  async #end(): Promise<{ readonly position: ChainPosition; readonly prefix: string; readonly mend?: AuditRecord }> {
    const bytes = await this.#read(FILE);
    const found = lastEntry(bytes);
    const position = found.entry === undefined ? await this.#begin() : positionAfter(found.entry);
    const unread = bytes.subarray(found.end);
    if (unread.length === 0 || (unread.length === 1 && unread[0] === LINE_BREAK)) {
      if (bytes.length <= FILE_BYTES_MAX) return { position, prefix: endsLine(bytes) ? '' : '\n' };
      await rename(join(this.#directory, FILE), join(this.#directory, ROTATED_FILE));
      return { position, prefix: '' };
    }
    const text = trimmed(unread);
    return { position, prefix: endsLine(bytes) ? '' : '\n', mend: mendNote(text) };
  }

  /** Where a file that has no line yet begins: after the one before it. */
  async #begin(): Promise<ChainPosition> {
    const { entry } = lastEntry(await this.#read(ROTATED_FILE));
    return entry === undefined ? { sequence: 1, previous: CHAIN_BEGIN } : positionAfter(entry);
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

/** Lines count from 1. */
type Fault = { readonly line: number; readonly reason: string };

/** Follows the chain line by line. */
class ChainCheck {
  position: ChainPosition;
  /** The entry of the line taken last; undefined where it was none. */
  last: AuditEntry | undefined;
  #unread: Buffer[] = [];
  #firstUnread: Fault | undefined;
  #line = 0;

  constructor(position: ChainPosition) {
    this.position = position;
  }

  /** @returns The first line at which the chain is broken; undefined where it is not, or not yet. */
  take(line: Buffer): Fault | undefined {
    this.#line += 1;
    this.last = undefined;
    const entry = readAuditLine(line.toString());
    if (typeof entry === 'string') {
      if (this.#unread.length === 0) this.#firstUnread = { line: this.#line, reason: entry };
      this.#unread.push(line);
      return undefined;
    }
    const reason = chainFault(entry, this.position);
    if (this.#firstUnread !== undefined) {
      const isMended = entry.action === 'mend' && entry.detail['unread_sha256'] === digest(joined(this.#unread));
      if (reason !== undefined || !isMended) return this.#firstUnread;
    }
    if (reason !== undefined) return { line: this.#line, reason };
    this.#unread = [];
    this.#firstUnread = undefined;
    this.position = positionAfter(entry);
    this.last = entry;
    return undefined;
  }

  /** What stands at the end and is no line; undefined where all was read. */
  unread(): Fault | undefined {
    if (this.#firstUnread === undefined) return undefined;
    const { line, reason } = this.#firstUnread;
    return { line, reason: `${reason}: a crash cut it off, or somebody did; the next act adds a line that says so` };
  }
}

/**
 * What the first line must say. Where the file before the kept one has been replaced, the chain begins in its midst:
 * that can be only once this one had grown to its full size.
 */
function firstPosition(file: string, bytes: Buffer): ChainPosition {
  const begin = { sequence: 1, previous: CHAIN_BEGIN };
  if (file !== ROTATED_FILE || bytes.length <= FILE_BYTES_MAX) return begin;
  const first = readAuditLine(linesOf(bytes)[0]?.toString() ?? '');
  return typeof first === 'string' ? begin : first;
}

/** The last line that can be read, and where it ends, without its line break. */
function lastEntry(bytes: Buffer): { readonly entry: AuditEntry | undefined; readonly end: number } {
  let end = bytes.length;
  while (end > 0) {
    const begin = bytes.lastIndexOf(LINE_BREAK, end - 1) + 1;
    const entry = readAuditLine(bytes.subarray(begin, end).toString());
    if (typeof entry !== 'string') return { entry, end };
    end = begin - 1;
  }
  return { entry: undefined, end: 0 };
}

function mendNote(unread: Buffer): AuditRecord {
  return {
    actor: 'andon',
    action: 'mend',
    model: '',
    version: null,
    outcome: 'ok',
    detail: {
      reason: 'What stands before this line could not be read: a crash cut it off, or it was changed',
      unread_bytes: unread.length,
      unread_sha256: digest(unread),
      unread_begins: unread.subarray(0, SHOWN_BYTES_MAX).toString(),
    },
  };
}

function endsLine(bytes: Buffer): boolean {
  return bytes.length === 0 || bytes.at(-1) === LINE_BREAK;
}

/** Without the line breaks around it, as `linesOf` would give it. */
function trimmed(unread: Buffer): Buffer {
  return joined(linesOf(unread[0] === LINE_BREAK ? unread.subarray(1) : unread));
}

/** Lines without their breaks; the last one may have had none. */
function linesOf(bytes: Buffer): readonly Buffer[] {
  const lines: Buffer[] = [];
  let begin = 0;
  while (begin < bytes.length) {
    const end = bytes.indexOf(LINE_BREAK, begin);
    lines.push(bytes.subarray(begin, end === -1 ? bytes.length : end));
    begin = end === -1 ? bytes.length : end + 1;
  }
  return lines;
}

function joined(lines: readonly Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line, index) => (index === 0 ? [line] : [Buffer.of(LINE_BREAK), line])));
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

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
import { type AuditConfig, AuditKey } from './audit-key.ts';
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

type Broken = { readonly file: string; readonly line: number; readonly reason: string };

export type ChainReport<Entry> = {
  /** All readable records before the first fault, oldest first. */
  readonly entries: readonly Entry[];
  /** The first line that breaks the chain or is not proved by the key; undefined if the log is intact. */
  readonly broken: Broken | undefined;
  /**
   * 'proved': a key is configured, and only its owner can have written the log, apart from records that
   * `audit.after` accepts. 'missing': records have an HMAC and no key is configured. 'none': neither.
   */
  readonly key: 'proved' | 'missing' | 'none';
  /** Hash of the last record without the configured key, if no record before it has the key; for `audit.after`. */
  readonly lastBeforeKey: string | undefined;
};

export type AuditLogOptions<Entry extends Chained> = {
  /** Path of the folder of the log. */
  readonly directory: string;
  readonly config: AuditConfig;
  readonly format: AuditFormat<Entry>;
  readonly clock: Clock;
};

/**
 * An audit log: `audit.jsonl` of a folder, one JSON object per line, each with the hash of the line before.
 * A line that is changed, deleted or inserted breaks the chain.
 *
 * The file is only appended to. A line that a crash cut off stays; the next record, a `mend`, contains its hash.
 */
export class AuditLog<Entry extends Chained> {
  readonly #directory: string;
  readonly #config: AuditConfig;
  readonly #clock: Clock;
  readonly #format: AuditFormat<Entry>;

  constructor({ directory, config, format, clock }: AuditLogOptions<Entry>) {
    this.#directory = directory;
    this.#config = config;
    this.#clock = clock;
    this.#format = format;
  }

  /** @throws {OperatingError} The key cannot be read, so no record can be appended. */
  checkKey(): void {
    AuditKey.read(this.#config);
  }

  /**
   * Appends a record and syncs it to disk. One call at a time: the caller holds a lock or is the only writer.
   *
   * @throws {OperatingError} Also if the key cannot be read: a record without an HMAC would count as forged.
   */
  async append(record: Unchained<Entry>): Promise<void> {
    const key = AuditKey.read(this.#config);
    const { position, prefix, repair } = await this.#end();
    const nowMs = this.#clock.nowMs();
    let text = prefix;
    let at = position;
    for (const each of repair === undefined ? [record] : [repair, record]) {
      const { line, hash } = auditLine(each, at, nowMs, key);
      text += `${line}\n`;
      at = positionAfter({ sequence: at.sequence, hash });
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

  /** Reads the log and checks its chain from the first line to the last. @throws {OperatingError} It, or the key, cannot be read. */
  async report(): Promise<ChainReport<Entry>> {
    const report = await this.#check();
    // A second look: another process may have appended a line, or rotated the file, during the first one.
    return report.broken === undefined ? report : this.#check();
  }

  async #check(): Promise<ChainReport<Entry>> {
    const proof = new KeyProof<Entry>(this.#config);
    let expected: ChainPosition | undefined;
    for (const file of [ROTATED_FILE, FILE]) {
      const bytes = await this.#read(file);
      const check = new ChainCheck(expected ?? firstPosition(file, bytes), this.#format.schema);
      for (const [index, line] of splitLines(bytes).entries()) {
        if (index % LINES_PER_TURN === 0) await nextTurn();
        const { entry, fault } = check.take(line);
        if (fault !== undefined) return proof.report({ file, ...fault });
        if (entry !== undefined) proof.take(entry, { file, line: index + 1 });
      }
      const fault = check.end();
      if (fault !== undefined) return proof.report({ file, ...fault });
      if (bytes.length > 0) expected = check.position;
    }
    return proof.report(undefined);
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

/** Collects the entries of an intact chain, and checks the HMAC of each. */
class KeyProof<Entry extends Chained> {
  readonly #after: ReadonlySet<string>;
  readonly #key: AuditKey | undefined;
  readonly #entries: Entry[] = [];
  #hasHmac = false;
  #hasProved = false;
  #lastBeforeKey: string | undefined;
  /** The first record that nothing proves, with the number of entries before it. */
  #fault: { readonly broken: Broken; readonly before: number } | undefined;

  constructor(config: AuditConfig) {
    this.#after = new Set(config.after);
    this.#key = AuditKey.read(config);
  }

  take(entry: Entry, at: Omit<Broken, 'reason'>): void {
    const reason = this.#key?.fault(entry.hash, entry.hmac);
    this.#hasHmac ||= entry.hmac !== undefined;
    if (reason === undefined) this.#hasProved ||= this.#key !== undefined;
    else {
      this.#fault ??= { broken: { ...at, reason }, before: this.#entries.length };
      if (!this.#hasProved) this.#lastBeforeKey = entry.hash;
    }
    this.#entries.push(entry);
    // The hash is over all records before it, and the configuration states that they are right.
    if (this.#after.has(entry.hash)) this.#fault = undefined;
  }

  report(broken: Broken | undefined): ChainReport<Entry> {
    const entries = this.#entries.slice(0, this.#fault?.before);
    const withoutKey = this.#hasHmac ? 'missing' : 'none';
    return {
      entries,
      broken: this.#fault?.broken ?? broken,
      key: this.#key === undefined ? withoutKey : 'proved',
      lastBeforeKey: this.#lastBeforeKey,
    };
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

import type * as z from 'zod';
import { sha256 } from '../../platform/sha256.ts';
import { chainFault, type Chained, type ChainPosition, positionAfter, readAuditLine } from './audit-chain.ts';

const LINE_BREAK = 10;

/** Lines count from 1. */
type Fault = { readonly line: number; readonly reason: string };
type Checked<Entry> = { readonly entry?: Entry; readonly fault?: Fault | undefined };

/** Checks a file of the log line by line. An unreadable part is valid only if a `mend` with its hash follows. */
export class ChainCheck<Entry extends Chained> {
  position: ChainPosition;
  readonly #schema: z.ZodType<Entry>;
  #unread: Buffer[] = [];
  #firstUnread: Fault | undefined;
  #line = 0;

  constructor(position: ChainPosition, schema: z.ZodType<Entry>) {
    this.position = position;
    this.#schema = schema;
  }

  /** Returns the entry of the line, and the fault if the chain is broken at or before it. */
  take(line: Buffer): Checked<Entry> {
    this.#line += 1;
    const entry = readAuditLine(line.toString(), this.#schema);
    if (typeof entry === 'string') {
      this.#firstUnread ??= { line: this.#line, reason: entry };
      this.#unread.push(line);
      return {};
    }
    const reason = chainFault(entry, this.position);
    const repaired = entry.action === 'mend' ? entry.detail['unread_sha256'] : undefined;
    if (this.#firstUnread !== undefined && (reason !== undefined || repaired !== sha256(joinLines(this.#unread))))
      return { fault: this.#firstUnread };
    if (reason !== undefined) return { fault: { line: this.#line, reason } };
    this.#unread = [];
    this.#firstUnread = undefined;
    this.position = positionAfter(entry);
    return { entry };
  }

  /** Returns the fault at the end of the file; undefined if every line was readable. */
  end(): Fault | undefined {
    if (this.#firstUnread === undefined) return undefined;
    const { line, reason } = this.#firstUnread;
    return { line, reason: `${reason}. A crash cut it off, or it was changed; the next operation logs what was found` };
  }
}

/** Lines without their line breaks; the last line may have none. */
export function splitLines(bytes: Buffer): readonly Buffer[] {
  const lines: Buffer[] = [];
  let begin = 0;
  while (begin < bytes.length) {
    const end = bytes.indexOf(LINE_BREAK, begin);
    lines.push(bytes.subarray(begin, end === -1 ? bytes.length : end));
    begin = end === -1 ? bytes.length : end + 1;
  }
  return lines;
}

export function joinLines(lines: readonly Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line, index) => (index === 0 ? [line] : [Buffer.of(LINE_BREAK), line])));
}

import { crc32 } from 'node:zlib';
import { VerdictJson } from '../../domain/record/verdict-columns.ts';
import type { OutboxStatements } from './outbox-schema.ts';
import { isIntactText } from '../file/row-checksum.ts';
import { bucketOf } from './record-counts.ts';

/** Lists kept in memory. */
const CACHE_MAX = 2000;

/**
 * The lists of names that records with columns refer to, by the CRC-32 of their text as int32.
 *
 * A list is used only if its text has the hash that the record's own checksum covers, so a value never appears under
 * another tag. A list stays in the file while a bucket of sequences uses it.
 */
export class RecordNames {
  readonly #statements: OutboxStatements;
  readonly #readers = new Map<number, VerdictJson>();
  /** Hash and last bucket of each list that was written since the file was opened. */
  readonly #written = new Map<string, { readonly hash: number; readonly bucket: number }>();

  constructor(statements: OutboxStatements) {
    this.#statements = statements;
  }

  /** Forgets what a transaction wrote that was rolled back. */
  reset(): void {
    this.#written.clear();
  }

  /** Within `commit`. Stores the list for the record with this sequence. @returns The hash of the list. */
  store(text: string, sequence: number): number {
    const bucket = bucketOf(sequence);
    const written = this.#written.get(text);
    if (written?.bucket === bucket) return written.hash;
    // Two lists with one hash: a space keeps the JSON and changes the hash.
    let unique = text;
    for (let other = this.#intact(hashOf(unique)); other !== undefined && other !== unique;) {
      unique += ' ';
      other = this.#intact(hashOf(unique));
    }
    const hash = hashOf(unique);
    this.#statements.addNames.run(hash, bucket, unique);
    this.#statements.addNamesCopy.run(hash, bucket, unique);
    if (this.#written.size >= CACHE_MAX) this.#written.clear();
    this.#written.set(text, { hash, bucket });
    return hash;
  }

  /** Within `commit`. Removes the lists whose records are all deleted. @param bucket First bucket with a record. */
  removeBefore(bucket: number): void {
    this.#statements.removeNames.run(bucket);
    this.#statements.removeNamesCopy.run(bucket);
    this.#readers.clear();
  }

  /** True if this is the hash under which the list is stored. */
  isList(hash: number, text: string): boolean {
    return this.#intact(hash)?.trimEnd() === text;
  }

  /** Returns the writer of the records of a list; undefined if the list is missing or damaged. */
  reader(hash: number): VerdictJson | undefined {
    const known = this.#readers.get(hash);
    if (known !== undefined) return known;
    const text = this.#intact(hash);
    if (text === undefined) return undefined;
    const reader = new VerdictJson(text);
    if (this.#readers.size >= CACHE_MAX) this.#readers.clear();
    this.#readers.set(hash, reader);
    return reader;
  }

  #intact(hash: number): string | undefined {
    return this.#statements.names.all(hash, hash).find((text) => isIntactText(text, hash));
  }
}

function hashOf(text: string): number {
  return crc32(text) | 0;
}

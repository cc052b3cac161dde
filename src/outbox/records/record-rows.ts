import { recordHead, type RecordKind, recordKinds, type StoredRecord } from '../../domain/record/record.ts';
import type { NameList } from '../../domain/record/column-lists.ts';
import { JsonWriter } from '../../domain/record/json-writer.ts';
import { isIntact, plainChecksum } from '../file/row-checksum.ts';
import type { Epochs } from './epochs.ts';
import type { OutboxRow, OutboxStatements } from './outbox-schema.ts';
import type { PlainRow } from './pending-rows.ts';
import { RecordNames } from './record-names.ts';

const AFTER_PLAIN_ID = utf8('","kind":"verdict","timestamp_ms":');

/** Verifies rows as read, and writes their JSON. */
export class RecordRows {
  readonly names: RecordNames;
  readonly #epochs: Epochs;
  readonly #body = new JsonWriter(4096);
  /** Start of the JSON of the records of an epoch, up to their sequence. */
  #start: { readonly epoch: string | undefined; readonly json: Uint8Array } = {
    epoch: undefined,
    json: new Uint8Array(),
  };

  constructor(statements: OutboxStatements, epochs: Epochs) {
    this.names = new RecordNames(statements);
    this.#epochs = epochs;
  }

  /** @returns Undefined if the row is not what was stored. */
  verified(row: OutboxRow): StoredRecord | undefined {
    const kind = this.#kindOf(row);
    this.#body.truncate(0);
    if (kind === undefined || !this.#writeBody('{', row, this.#body)) return undefined;
    const { sequence, timestamp: timestampMs } = row;
    const body = new TextDecoder().decode(this.#body.take());
    return { id: this.#epochs.idOf(row), sequence, kind, timestampMs, watch: this.watchOf(row), body };
  }

  /**
   * Writes the JSON of a row for uplinks.
   * @param columns Position of its list of tags in the message, see `listOf`.
   * @returns False if the row is not what was stored; then a part may be written.
   */
  write(row: OutboxRow, to: JsonWriter, columns?: number): boolean {
    const kind = this.#kindOf(row);
    if (kind === undefined) return false;
    this.#writeHead(kind, row, to);
    if (row.body !== '{}') return this.#writeBody(',', row, to, columns);
    to.text('}');
    return true;
  }

  /** As `write`, for a verdict of a range. */
  writePlain({ range, index, sequence, names }: PlainRow, to: JsonWriter, columns?: number): boolean {
    const epoch = this.#epochs.at(sequence);
    const timestamp = range.timestamps[index] ?? 0;
    const [start, end] = [range.ends[index - 1] ?? 0, range.ends[index] ?? 0];
    if (epoch === undefined || timestamp < 0) return false;
    const checksum = plainChecksum(epoch, { sequence, timestamp, names }, range.columns, start, end);
    if (checksum !== ((range.checksums[index] ?? 0) | 0)) return false;
    to.bytes(this.#startOf(epoch, sequence));
    to.integer(sequence);
    to.bytes(AFTER_PLAIN_ID);
    to.integer(timestamp);
    to.text(',');
    return this.names.reader(names)?.writeFrom(range.columns, start, end, to, columns) === true;
  }

  /** Returns the list of tags of a row; undefined if its body has the names. */
  listOf({ names }: Pick<OutboxRow, 'names'>): NameList | undefined {
    const reader = names === null ? undefined : this.names.reader(names);
    return names === null || reader === undefined ? undefined : { key: names, json: reader.tagsJson };
  }

  /** Returns the watch of a row; '' for none. */
  watchOf({ watch, names }: Pick<OutboxRow, 'watch' | 'names'>): string {
    return names === null ? watch : (this.names.reader(names)?.names.watch ?? '');
  }

  /** @returns Undefined if the row is damaged. */
  #kindOf(row: OutboxRow): RecordKind | undefined {
    const { kind } = row;
    if (!isRecordKind(kind) || !isIntact(this.#epochs.at(row.sequence), row)) return undefined;
    return kind;
  }

  /** Writes what `recordHead` returns. The ids of an epoch differ only in their sequence. */
  #writeHead(kind: RecordKind, row: OutboxRow, to: JsonWriter): void {
    const { sequence, original_id, timestamp } = row;
    const timestampMs = Math.round(timestamp);
    if (original_id !== null || timestampMs < 0) return to.text(recordHead(this.#epochs.idOf(row), kind, timestamp));
    to.bytes(this.#startOf(this.#epochs.at(sequence), sequence));
    to.integer(sequence);
    to.text('","kind":"');
    to.text(kind);
    to.text('","timestamp_ms":');
    return to.integer(timestampMs);
  }

  #startOf(epoch: string | undefined, sequence: number): Uint8Array {
    if (epoch !== this.#start.epoch) {
      const json = JSON.stringify(this.#epochs.idOf({ sequence, original_id: null }));
      this.#start = { epoch, json: utf8(`{"id":${json.slice(0, json.lastIndexOf('/') + 1)}`) };
    }
    return this.#start.json;
  }

  /** @param head Text before the first field. */
  #writeBody(head: string, { body, names }: OutboxRow, to: JsonWriter, columns?: number): boolean {
    if (typeof body === 'string') {
      to.text(head + body.slice(1));
      return names === null;
    }
    to.text(head);
    return names !== null && this.names.reader(names)?.write(body, to, columns) === true;
  }
}

export function isRecordKind(kind: string): kind is RecordKind {
  return (recordKinds as readonly string[]).includes(kind);
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

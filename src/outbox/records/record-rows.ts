import { recordHead, type RecordKind, recordKinds, type StoredRecord } from '../../domain/record/record.ts';
import type { NameList } from '../../domain/record/column-lists.ts';
import { JsonWriter } from '../../domain/record/json-writer.ts';
import { isIntact } from '../file/row-checksum.ts';
import type { Epochs } from './epochs.ts';
import type { OutboxRow, OutboxStatements } from './outbox-schema.ts';
import { RecordNames } from './record-names.ts';

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
    const epoch = this.#epochs.at(sequence);
    if (epoch !== this.#start.epoch) {
      const json = JSON.stringify(this.#epochs.idOf(row));
      this.#start = { epoch, json: new TextEncoder().encode(`{"id":${json.slice(0, json.lastIndexOf('/') + 1)}`) };
    }
    to.bytes(this.#start.json);
    to.integer(sequence);
    to.text('","kind":"');
    to.text(kind);
    to.text('","timestamp_ms":');
    return to.integer(timestampMs);
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

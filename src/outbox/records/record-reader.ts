import { statSync } from 'node:fs';
import type { HistoryQuery, ReadRequest } from '../../contracts/record-store.ts';
import type { JsonWriter } from '../../domain/record/json-writer.ts';
import type { RecordKind, StoredRecord } from '../../domain/record/record.ts';
import { type BatchLimits, type RecordBatchData, RecordBatchWriter } from '../../domain/record/record-batch.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { Moved, type RpcHandlers } from '../../platform/rpc.ts';
import { databaseFault, openReader, type SqliteDatabase } from '../file/database-file.ts';
import { sizeBudget } from '../file/size-budget.ts';
import { unavailable } from '../file/outbox-errors.ts';
import type { SequenceSpans } from '../file/storage-protocol.ts';
import { Epochs } from './epochs.ts';
import { HistoryIndex } from './history-index.ts';
import { type OutboxRow, type OutboxStatements, prepareStatements } from './outbox-schema.ts';
import { PendingRows, PlainRow, ReadRow } from './pending-rows.ts';
import { RecordRows } from './record-rows.ts';

export type RecordReaderOptions = {
  readonly agentId: string;
  /** Absolute path of the outbox. */
  readonly path: string;
  /** `outbox.maxSize`. */
  readonly bytesMax: number;
};

type RecordReadRequest = SequenceSpans & {
  readonly uplink: string;
  readonly kinds: readonly RecordKind[];
  readonly limits: BatchLimits;
  readonly batchesMax: number;
  readonly values?: ReadRequest['values'];
  /** Buffers of acknowledged batches, to be written again. */
  readonly spare?: readonly Uint8Array<ArrayBuffer>[];
};

export type RecordReadResult = {
  readonly batches: readonly RecordBatchData[];
  /** Sequences of rows that failed their checksum. */
  readonly damaged: readonly number[];
};

export type RecordReaderReport = { readonly more: boolean };

/** Methods of the reader worker. */
export type RecordReaderProtocol = {
  open: { readonly params: { readonly nowMs: number }; readonly result: RecordReaderReport };
  read: { readonly params: RecordReadRequest; readonly result: RecordReadResult };
  history: { readonly params: HistoryQuery; readonly result: readonly StoredRecord[] };
  upkeep: {
    readonly params: { readonly nowMs: number; readonly idle: boolean };
    readonly result: RecordReaderReport;
  };
  close: { readonly params: undefined; readonly result: undefined };
};

type OpenFile = {
  readonly inode: number;
  readonly sqlite: SqliteDatabase;
  readonly statements: OutboxStatements;
  readonly epochs: Epochs;
  readonly rows: RecordRows;
  readonly history: HistoryIndex;
};

/**
 * The work of the reader worker: reads records for the uplinks and the API, and checkpoints the WAL, on a connection of its
 * own. A checkpoint in the connection that commits would delay the commit by 8 to 30 ms.
 */
export class RecordReader {
  readonly #options: RecordReaderOptions;
  #open: OpenFile | undefined;
  #spare: Uint8Array<ArrayBuffer>[] = [];
  #hasRead = false;

  constructor(options: RecordReaderOptions) {
    this.#options = options;
  }

  handlers(): RpcHandlers<RecordReaderProtocol> {
    return {
      open: () => ({ more: false }),
      read: (request) => this.#read(request),
      history: (query) => this.#use(({ history }) => history.find(query)),
      upkeep: () => {
        this.#checkpoint();
        if (!this.#hasRead) this.#spare = [];
        this.#hasRead = false;
        return { more: false };
      },
      close: () => this.#close(),
    };
  }

  #read(request: RecordReadRequest): Moved<RecordReadResult> {
    this.#hasRead = true;
    this.#spare.push(...(request.spare ?? []));
    return this.#use((file) => read(file, request, this.#spare), request.file);
  }

  /** @throws {OperatingError} 'outbox-unavailable' (retry). The storage worker reports and repairs what is wrong with the file. */
  #use<T>(work: (file: OpenFile) => T, inode?: number): T {
    try {
      if (inode !== undefined && this.#open?.inode !== inode) this.#close();
      const file = (this.#open ??= this.#openFile());
      if (inode !== undefined && file.inode !== inode) throw unavailable('The outbox file is being replaced');
      // A new epoch may have begun.
      file.epochs.load();
      return work(file);
    } catch (error) {
      if (error instanceof OperatingError || databaseFault(error) === 'other') throw error;
      this.#close();
      throw unavailable(`The outbox cannot be read: ${errorMessage(error)}`, error);
    }
  }

  #openFile(): OpenFile {
    const { path, agentId } = this.#options;
    const inode = inodeAt(path);
    const sqlite = openReader(path);
    try {
      const statements = prepareStatements(sqlite);
      const epochs = new Epochs(sqlite, statements, agentId);
      const rows = new RecordRows(statements, epochs);
      return { inode, sqlite, statements, epochs, rows, history: new HistoryIndex({ sqlite, rows, statements }) };
    } catch (error) {
      sqlite.close();
      throw error;
    }
  }

  /** Copies the WAL into the file after its first step. Commits wait only if it has grown to its second step meanwhile. */
  #checkpoint(): void {
    const { walStepPages } = sizeBudget(this.#options.bytesMax);
    try {
      this.#use(({ sqlite }) => {
        const before = checkpoint(sqlite, 'NOOP');
        if (before.log - before.checkpointed < walStepPages) return;
        if (checkpoint(sqlite, 'PASSIVE').log >= 2 * walStepPages) checkpoint(sqlite, 'RESTART');
      }, inodeAt(this.#options.path));
    } catch {
      // The storage worker detects a failed disk or a replaced file, and checkpoints a larger WAL itself.
    }
  }

  #close(): undefined {
    const open = this.#open;
    this.#open = undefined;
    open?.sqlite.close();
  }
}

function read(
  { statements, epochs, rows }: OpenFile,
  { spans, uplink, kinds, limits, batchesMax, values }: RecordReadRequest,
  spare: Uint8Array<ArrayBuffer>[],
): Moved<RecordReadResult> {
  const writer = new RecordBatchWriter(limits, spare);
  const damaged: number[] = [];
  const pending = new PendingRows({ statements, epochs }, kinds, uplink);
  const write = (to: JsonWriter, columns: number | undefined, row: ReadRow | PlainRow) =>
    row instanceof PlainRow ? rows.writePlain(row, to, columns) : rows.write(row, to, columns);
  const add = (row: ReadRow | PlainRow) => writer.add(row, write, values === 'columns' ? rows.listOf(row) : undefined);
  for (const span of spans) {
    for (let { after } = span; after < span.through && writer.complete < batchesMax;) {
      const found = pending.next(after, span.through);
      for (const row of found.rows) {
        if (writer.complete >= batchesMax) break;
        if (add(row)) continue;
        // Its columns are of a second read, before which other rows may have been dropped.
        const alone = statements.bySequence.get(row.sequence) as OutboxRow | undefined;
        if (alone !== undefined && !add(new ReadRow(alone, epochs))) damaged.push(row.sequence);
      }
      after = found.through;
    }
  }
  const batches = writer.end().slice(0, batchesMax);
  return new Moved(
    { batches, damaged },
    batches.flatMap(({ json, ends, sequences }) => [json.buffer, ends.buffer, sequences.buffer]),
  );
}

/** @returns Pages in the WAL, and how many of them are in the file. NOOP changes nothing. */
function checkpoint(sqlite: SqliteDatabase, mode: 'NOOP' | 'PASSIVE' | 'RESTART') {
  const [result] = sqlite.pragma(`wal_checkpoint(${mode})`) as {
    readonly log: number;
    readonly checkpointed: number;
  }[];
  return result ?? { log: 0, checkpointed: 0 };
}

/** @throws {OperatingError} 'outbox-unavailable' (retry) while there is no file. */
function inodeAt(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw unavailable(`There is no file ${path}`);
  return found.ino;
}

import { DatabaseDamage, type SqliteDatabase } from '../file/database-file.ts';
import type { DatabaseFormat } from '../file/database-format.ts';
import type { CheckedRow } from '../file/row-checksum.ts';

/*
 * outbox       one row a record. `key` makes an alarm transition unique. `original_id` is set on salvaged rows, whose
 *              id comes from another file. Samples have no watch ('').
 * epoch        a sequence belongs to the epoch with the largest first_sequence that is not above it.
 * cursor       position of an uplink: `ranges` is a JSON array of [acknowledged, through | null], see UplinkCursor.
 * dead_letter  copies of records that an uplink refused permanently.
 * loss         lost records that are not reported yet, see LossLedger. In the row of a loss record, `watch` is the uplink that
 *              lost; '' for all uplinks, as formats 1 and 2 have it.
 * bucket       number of records of each kind by 4096 sequences, see RecordCounts. Only full buckets are stored.
 */
const TABLES = `
CREATE TABLE outbox (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  watch TEXT NOT NULL,
  timestamp REAL NOT NULL,
  checksum INTEGER NOT NULL,
  key TEXT,
  original_id TEXT,
  body TEXT NOT NULL
);
CREATE INDEX outbox_history ON outbox (watch, kind, timestamp) WHERE watch <> '';
CREATE UNIQUE INDEX outbox_key ON outbox (key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX outbox_original ON outbox (original_id) WHERE original_id IS NOT NULL;
CREATE TABLE epoch (first_sequence INTEGER PRIMARY KEY, epoch TEXT NOT NULL, started_ms REAL NOT NULL);
CREATE TABLE cursor (uplink TEXT PRIMARY KEY, ranges TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE dead_letter (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  uplink TEXT NOT NULL,
  reason TEXT NOT NULL,
  set_aside_ms REAL NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  watch TEXT NOT NULL,
  timestamp REAL NOT NULL,
  body TEXT NOT NULL
);
CREATE TABLE loss (
  kind TEXT NOT NULL,
  reason TEXT NOT NULL,
  epoch TEXT NOT NULL,
  from_sequence INTEGER NOT NULL,
  to_sequence INTEGER NOT NULL,
  count INTEGER NOT NULL,
  last_ms REAL NOT NULL,
  PRIMARY KEY (kind, reason, epoch)
) WITHOUT ROWID;
CREATE TABLE bucket (bucket INTEGER PRIMARY KEY, counts TEXT NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;

/** A row of `outbox`, as read. */
export type OutboxRow = CheckedRow & { readonly checksum: number };

/** A row of `pendingHeads`. */
export type PendingHead = Omit<OutboxRow, 'body'> & {
  /** JSON, or number of bytes of the columns in `joinedColumns`. */
  body: OutboxRow['body'] | number;
};

/** `watch` of a row without a watch, and of a row with columns. */
export const NO_WATCH = '';

const ROW_COLUMNS = 'sequence, kind, watch, timestamp, checksum, original_id, body, names';

const HAS_COLUMNS = "(names IS NOT NULL AND typeof(body) = 'blob')";

/** Verdicts as the agent stores them, undamaged as far as types show. */
const IS_PLAIN = `(kind = 'verdict' AND watch = '' AND original_id IS NULL AND typeof(names) = 'integer'
 AND typeof(checksum) = 'integer' AND typeof(body) = 'blob' AND timestamp = CAST(timestamp AS INTEGER))`;

export const EPOCHS = 'SELECT first_sequence, epoch FROM epoch ORDER BY first_sequence';

export type EpochRow = { readonly first_sequence: number; readonly epoch: string };

export const outboxFormat: DatabaseFormat = {
  name: 'outbox',
  migrations: [(database) => database.exec(TABLES), storeColumns, (database) => database.exec(LOSS_TABLE)],
};

/*
 * outbox        `names` is the CRC-32 of a list of names. Then `body` has columns and `watch` is ''.
 * names         lists of names, and the last bucket of sequences that uses each. In two tables, because the damage of one
 *               page would make every record of a watch unreadable.
 * history_index records of one bucket by watch and kind, see HistoryIndex.
 */
const COLUMN_TABLES = `
DROP INDEX outbox_history;
CREATE TABLE names (hash INTEGER PRIMARY KEY, bucket INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE names_copy (hash INTEGER PRIMARY KEY, bucket INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE history_index (
  bucket INTEGER PRIMARY KEY,
  from_ms REAL NOT NULL,
  to_ms REAL NOT NULL,
  checksum INTEGER NOT NULL,
  groups TEXT NOT NULL
);
`;

/** Tables of lists of names. Both have every list. */
export const NAMES_TABLES = ['names', 'names_copy'] as const;

const ADD_NAMES = 'ALTER TABLE outbox ADD COLUMN names INTEGER';

/** Without AUTOINCREMENT, which writes one more page with each commit. */
const NEW_OUTBOX = `
DROP TABLE outbox;
CREATE TABLE outbox (
  sequence INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  watch TEXT NOT NULL,
  timestamp REAL NOT NULL,
  checksum INTEGER NOT NULL,
  names INTEGER,
  key TEXT,
  original_id TEXT,
  body NOT NULL
);
CREATE UNIQUE INDEX outbox_key ON outbox (key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX outbox_original ON outbox (original_id) WHERE original_id IS NOT NULL;
`;

/** Migration to format 2. Rows of format 1 stay as they are, because a copy of the table would take the space of the file again. */
function storeColumns(database: SqliteDatabase): void {
  database.exec(COLUMN_TABLES);
  const isNew = database.prepare("SELECT 1 FROM sqlite_sequence WHERE name = 'outbox'").get() === undefined;
  database.exec(isNew ? NEW_OUTBOX : ADD_NAMES);
}

/** Losses by uplink, from format 3 on. Those of before concern all uplinks. */
const LOSS_TABLE = `
ALTER TABLE loss RENAME TO old_loss;
CREATE TABLE loss (
  number INTEGER PRIMARY KEY,
  uplink TEXT NOT NULL,
  kind TEXT NOT NULL,
  reason TEXT NOT NULL,
  epoch TEXT NOT NULL,
  from_sequence INTEGER NOT NULL,
  to_sequence INTEGER NOT NULL,
  count INTEGER NOT NULL,
  from_ms REAL NOT NULL,
  to_ms REAL NOT NULL,
  watches TEXT NOT NULL,
  joins INTEGER NOT NULL
);
INSERT INTO loss (uplink, kind, reason, epoch, from_sequence, to_sequence, count, from_ms, to_ms, watches, joins)
  SELECT '', kind, reason, epoch, from_sequence, to_sequence, count, last_ms, last_ms, '{}', 0 FROM old_loss;
DROP TABLE old_loss;
`;

/** A row of `loss`. */
export type LossRow = {
  readonly number: number;
  readonly uplink: string;
  readonly kind: string;
  readonly reason: string;
  readonly epoch: string;
  /** Sequences of the ids; 0 for records that never had one. */
  readonly from_sequence: number;
  readonly to_sequence: number;
  readonly count: number;
  /** Times of the first and the last record. */
  readonly from_ms: number;
  readonly to_ms: number;
  /** JSON: number of records of each watch. */
  readonly watches: string;
  /** 1 if the range continues the one before of the same uplink, kind, reason and epoch. */
  readonly joins: number;
};

/** A row of `plainRows`: JSON arrays in the order of `columns`. */
export type PlainRows = {
  readonly rows: number;
  /** Number of the rows that are plain. The arrays have all rows. */
  readonly plain: number;
  /** First and last sequence; null without rows. */
  readonly first: number | null;
  readonly last: number | null;
  readonly timestamps: string;
  readonly checksums: string;
  readonly names: string;
  readonly lengths: string;
  readonly columns: Buffer | null;
};

/** A row of `pendingBytes`. */
export type PendingBytes = { readonly sequence: number; readonly bytes: number };

/** The row of `pendingSize`. The sequences are null without records. */
export type PendingRun = {
  readonly records: number;
  readonly bytes: number;
  readonly first: number | null;
  readonly last: number | null;
};

/** Selects the records of an uplink: loss records of another uplink are not sent to it. NULL selects all. */
const OF_UPLINK = "(kind <> 'loss' OR watch IN ('', ifnull(?, watch)))";

/** Statements for the records that wait for an uplink. Their parameters are kinds as a JSON array, and the uplink. */
function preparePending(database: SqliteDatabase) {
  return {
    pending: database.prepare(
      `SELECT ${ROW_COLUMNS} FROM outbox WHERE sequence > ? AND sequence <= ?
       AND kind IN (SELECT value FROM json_each(?)) AND ${OF_UPLINK} ORDER BY sequence LIMIT ?`,
    ),
    /** The rows of `pending`, without their columns. */
    pendingHeads: database.prepare(
      `SELECT sequence, kind, watch, timestamp, checksum, original_id, names,
       CASE WHEN ${HAS_COLUMNS} THEN octet_length(body) ELSE body END AS body
       FROM outbox WHERE sequence > ? AND sequence <= ?
       AND kind IN (SELECT value FROM json_each(?)) AND ${OF_UPLINK} ORDER BY sequence LIMIT ?`,
    ),
    /** Columns of these rows, one after the other: a buffer for each row takes longer than to read the row. */
    joinedColumns: database
      .prepare(
        `SELECT CAST(group_concat(body, '') AS BLOB) FROM outbox WHERE sequence > ? AND sequence <= ?
         AND kind IN (SELECT value FROM json_each(?)) AND ${OF_UPLINK} AND ${HAS_COLUMNS}`,
      )
      .pluck(),
    /**
     * All rows of a range as one row, without an object for each: half of the time of `pendingHeads` and `joinedColumns`.
     * JSON cannot have a blob, which damage may have made of a number.
     */
    plainRows: database.prepare(
      `SELECT count(*) AS rows, count(*) FILTER (WHERE ${IS_PLAIN}) AS plain, min(sequence) AS first, max(sequence) AS last,
       json_group_array(CAST(timestamp AS INTEGER)) AS timestamps,
       json_group_array(CAST(checksum AS INTEGER)) AS checksums, json_group_array(CAST(names AS INTEGER)) AS names,
       json_group_array(octet_length(body)) AS lengths,
       CAST(group_concat(body, '') AS BLOB) AS columns
       FROM outbox WHERE sequence > ? AND sequence <= ?`,
    ),
    /** The rows of `pendingBytes` together. To count them takes a third of the time of an object for each. */
    pendingSize: database.prepare(
      `SELECT count(*) AS records, ifnull(sum(octet_length(body)), 0) AS bytes, min(sequence) AS first, max(sequence) AS last
       FROM (SELECT sequence, body FROM outbox WHERE sequence > ? AND sequence <= ?
       AND kind IN (SELECT value FROM json_each(?)) AND ${OF_UPLINK} ORDER BY sequence LIMIT ?)`,
    ),
    /** As `pendingSize`, of all records of a range: in half of the time. */
    rangeSize: database.prepare(
      `SELECT count(*) AS records, ifnull(sum(octet_length(body)), 0) AS bytes, min(sequence) AS first, max(sequence) AS last
       FROM (SELECT sequence, body FROM outbox WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?)`,
    ),
    pendingBytes: database.prepare(
      `SELECT sequence, octet_length(body) AS bytes FROM outbox WHERE sequence > ? AND sequence <= ?
       AND kind IN (SELECT value FROM json_each(?)) AND ${OF_UPLINK} ORDER BY sequence LIMIT ?`,
    ),
    pendingSequences: database.prepare(
      `SELECT sequence, kind, timestamp, original_id FROM outbox WHERE sequence > ? AND sequence <= ?
       AND kind IN (SELECT value FROM json_each(?)) AND ${OF_UPLINK} ORDER BY sequence LIMIT ?`,
    ),
    pendingCount: database
      .prepare(
        `SELECT count(*) FROM outbox WHERE sequence > ? AND sequence <= ? AND kind IN (SELECT value FROM json_each(?))
         AND ${OF_UPLINK}`,
      )
      .pluck(),
  };
}

/** Statements of the hot paths, prepared once for each connection. */
export function prepareStatements(database: SqliteDatabase) {
  return {
    insert: database.prepare(
      'INSERT INTO outbox (sequence, kind, watch, timestamp, checksum, key, original_id, body, names) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    byKey: database.prepare('SELECT sequence, original_id FROM outbox WHERE key = ?'),
    byOriginalId: database.prepare('SELECT 1 FROM outbox WHERE original_id = ?'),
    ...preparePending(database),
    bySequence: database.prepare(`SELECT ${ROW_COLUMNS} FROM outbox WHERE sequence = ?`),
    names: database
      .prepare('SELECT text FROM names WHERE hash = ? UNION ALL SELECT text FROM names_copy WHERE hash = ?')
      .pluck(),
    addNames: database.prepare('INSERT OR REPLACE INTO names (hash, bucket, text) VALUES (?, ?, ?)'),
    addNamesCopy: database.prepare('INSERT OR REPLACE INTO names_copy (hash, bucket, text) VALUES (?, ?, ?)'),
    removeNames: database.prepare('DELETE FROM names WHERE bucket < ?'),
    removeNamesCopy: database.prepare('DELETE FROM names_copy WHERE bucket < ?'),
    removeIndex: database.prepare('DELETE FROM history_index WHERE bucket = ?'),
    remove: database.prepare('DELETE FROM outbox WHERE sequence = ?'),
    newestTimestamp: database.prepare('SELECT timestamp FROM outbox ORDER BY sequence DESC LIMIT 1').pluck(),
    oldestSequence: database.prepare('SELECT min(sequence) FROM outbox').pluck(),
    oldestTimestamp: database.prepare('SELECT timestamp FROM outbox ORDER BY sequence LIMIT 1').pluck(),
    saveCursor: database.prepare(
      'INSERT INTO cursor (uplink, ranges) VALUES (?, ?) ON CONFLICT (uplink) DO UPDATE SET ranges = excluded.ranges',
    ),
    saveBucket: database.prepare('INSERT OR REPLACE INTO bucket (bucket, counts) VALUES (?, ?)'),
    removeBucket: database.prepare('DELETE FROM bucket WHERE bucket = ?'),
    addLoss: database.prepare(
      `INSERT INTO loss (uplink, kind, reason, epoch, from_sequence, to_sequence, count, from_ms, to_ms, watches, joins)
       VALUES (@uplink, @kind, @reason, @epoch, @from_sequence, @to_sequence, @count, @from_ms, @to_ms, @watches, @joins)`,
    ),
    extendLoss: database.prepare(
      `UPDATE loss SET to_sequence = ?, count = count + ?, from_ms = min(from_ms, ?), to_ms = max(to_ms, ?) WHERE number = ?`,
    ),
    losses: database.prepare('SELECT * FROM loss ORDER BY number LIMIT ?'),
    removeLoss: database.prepare('DELETE FROM loss WHERE number = ?'),
    rowByKey: database.prepare(`SELECT ${ROW_COLUMNS} FROM outbox WHERE key = ?`),
    freeKey: database.prepare('UPDATE outbox SET key = NULL WHERE key = ?'),
    addDeadLetter: database.prepare(
      `INSERT INTO dead_letter (uplink, reason, set_aside_ms, id, kind, watch, timestamp, body)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    deadLetterCount: database.prepare('SELECT count(*) FROM dead_letter').pluck(),
    oldestDeadLetters: database.prepare(
      'SELECT number, uplink, id, kind, timestamp FROM dead_letter ORDER BY number LIMIT ?',
    ),
    removeDeadLetter: database.prepare('DELETE FROM dead_letter WHERE number = ?'),
    setMeta: database.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)'),
    removeMeta: database.prepare('DELETE FROM meta WHERE name = ?'),
    getMeta: database.prepare('SELECT value FROM meta WHERE name = ?').pluck(),
    addEpoch: database.prepare('INSERT OR REPLACE INTO epoch (first_sequence, epoch, started_ms) VALUES (?, ?, ?)'),
    removeEpochsBefore: database.prepare('DELETE FROM epoch WHERE first_sequence < ?'),
  };
}

export type OutboxStatements = ReturnType<typeof prepareStatements>;

/** @throws {DatabaseDamage} if a column that holds JSON does not. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new DatabaseDamage('a row of the bookkeeping is not JSON', { cause: error });
  }
}

import type { BasicType } from 'hyparquet-writer';
import type { RecordKind } from '../../domain/record/record.ts';
import { type RecordObject, samplesOf } from '../../domain/record/record-object.ts';

/** A column of a file; null for no value. */
type Column = {
  readonly name: string;
  readonly type: BasicType;
  /** JSON has no order: statistics of it cost three times as much as its column. */
  readonly isJson?: true;
  readonly of: (row: Row) => unknown;
};

type Row = Readonly<Record<string, unknown>>;

const time: Column = { name: 'time', type: 'TIMESTAMP', of: ({ timestamp_ms: timeMs }) => new Date(Number(timeMs)) };
const body: Column = {
  name: 'body',
  type: 'STRING',
  isJson: true,
  of: ({ id: _id, kind: _kind, timestamp_ms: _time, ...rest }) => JSON.stringify(rest),
};

const columnsOf: Readonly<Record<RecordKind, readonly Column[]>> = {
  verdict: [
    text('id'),
    time,
    ...['watch', 'verdict'].map(text),
    ...['score', 'threshold'].map(double),
    ...['reason', 'model'].map(text),
    { name: 'version', type: 'INT32', of: ({ version }) => (Number.isSafeInteger(version) ? version : null) },
    ...['tags', 'quality', 'contributions'].map(json),
  ],
  sample: [text('id'), time, text('tag'), double('value'), text('quality')],
  alarm: [
    text('id'),
    time,
    ...['alarm', 'watch', 'state', 'change', 'priority', 'message', 'acknowledged_by'].map(text),
    body,
  ],
  loss: [text('id'), time, text('records'), text('reason'), double('count'), body],
  start: [text('id'), time, text('reason'), double('down_ms'), body],
  output: [text('id'), time, ...['output', 'show', 'outcome'].map(text), body],
};

/** Returns a file with the records, all of one kind. A `sample` record is one row for each tag. */
export async function parquetFile(kind: RecordKind, records: readonly RecordObject[]): Promise<Uint8Array> {
  // Agents without such an uplink do not load the library.
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const rows = kind === 'sample' ? records.flatMap(sampleRows) : records;
  const columnData = columnsOf[kind].map(({ name, type, of, isJson }) => ({
    name,
    type,
    data: rows.map(of),
    statistics: isJson !== true,
  }));
  return new Uint8Array(parquetWriteBuffer({ columnData, createdBy: 'andon' }));
}

function sampleRows(record: RecordObject): readonly Row[] {
  return samplesOf(record).map(([tag, [value, quality, afterMs = 0]]) => ({
    id: record.id,
    timestamp_ms: record.timestamp_ms + afterMs,
    tag,
    value,
    quality,
  }));
}

function text(name: string): Column {
  return { name, type: 'STRING', of: (row) => (typeof row[name] === 'string' ? row[name] : null) };
}

function double(name: string): Column {
  return { name, type: 'DOUBLE', of: (row) => (typeof row[name] === 'number' ? row[name] : null) };
}

function json(name: string): Column {
  const of = (row: Row) => (row[name] === undefined ? null : JSON.stringify(row[name]));
  return { name, type: 'STRING', isJson: true, of };
}

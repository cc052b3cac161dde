import { createHash } from 'node:crypto';
import { type RecordObject, samplesOf } from '../../domain/record/record-object.ts';
import type { NameNumbers, VerdictSettings } from './name-numbers.ts';

/** Records with the lists of names that they refer to, as an uplink sends them. */
export type RecordMessage = {
  readonly records: readonly RecordObject[];
  /** Lists of tags by position; empty if the records have names. */
  readonly columns: readonly (readonly string[] | null)[];
};

export type RecordId = { readonly box: string; readonly epoch: string; readonly sequence: number };

type Row = Readonly<Record<string, unknown>>;

/** Rows by table, with the names of its columns. */
export type TableRows = {
  readonly verdict_data: readonly Row[];
  readonly sample_data: readonly Row[];
  readonly summary_data: readonly Row[];
  readonly alarm_data: readonly Row[];
  readonly event_data: readonly Row[];
  readonly loss_data: readonly Row[];
  /** Numbers of the boxes of the records. */
  readonly boxes: readonly number[];
};

/** Returns the parts of `<box>/<epoch>/<sequence>`. The id of a summary ends with the range `<first>-<last>`. */
export function recordIdOf(id: string): RecordId {
  const [box, epoch, end] = [id.split('/').slice(0, -2).join('/'), ...id.split('/').slice(-2)];
  return { box, epoch: epoch ?? '', sequence: Number(end?.split('-').at(-1)) };
}

type Keyed = { readonly record: RecordObject; readonly box: number; readonly epoch: number; readonly sequence: number };

/** Returns the records as rows. Names that are new are added to the database. */
export async function tableRows(messages: readonly RecordMessage[], numbers: NameNumbers): Promise<TableRows> {
  const records = messages.flatMap(({ records: own, columns }) =>
    own.map((record) => ({ record, columns, id: recordIdOf(record.id) })),
  );
  const boxOf = await numbers.boxes(records.map(({ id }) => id.box));
  const epochOf = await numbers.names(
    'epochs',
    records.map(({ id }) => [boxOf(id.box), id.epoch]),
  );
  const keyed = records.map(({ record, columns, id }) => {
    const box = boxOf(id.box);
    return { record, columns, box, epoch: epochOf(box, id.epoch), sequence: id.sequence };
  });
  const of = (kind: string) => keyed.filter(({ record }) => record.kind === kind);
  const other = keyed.filter(({ record }) => !own.has(record.kind));
  return {
    verdict_data: await verdictRows(of('verdict'), numbers),
    sample_data: await sampleRows(of('sample'), numbers),
    summary_data: of('summary').map(summaryRow),
    alarm_data: of('alarm').map((one) => ({
      ...base(one),
      ...picked(one.record, ['alarm', 'watch', 'state', 'change', 'priority', 'message']),
      body: bodyOf(one.record),
    })),
    event_data: other.map((one) => ({ ...base(one), kind: one.record.kind, body: bodyOf(one.record) })),
    loss_data: of('loss').map((one) => ({
      ...base(one),
      ...picked(one.record, ['records', 'reason', 'count']),
      lost_epoch: one.record['epoch'],
      first_sequence: one.record['from'],
      last_sequence: one.record['to'],
      body: bodyOf(one.record),
    })),
    boxes: [...new Set(keyed.map(({ box }) => box))],
  };
}

/** Kinds that have a table. */
const own: ReadonlySet<string> = new Set(['verdict', 'sample', 'summary', 'alarm', 'loss']);

function base({ record, epoch, sequence }: Keyed): Row {
  return { epoch, sequence, time: timeText(record.timestamp_ms) };
}

async function verdictRows(
  keyed: readonly (Keyed & { readonly columns: RecordMessage['columns'] })[],
  numbers: NameNumbers,
): Promise<readonly Row[]> {
  const watchOf = await numbers.names(
    'watches',
    keyed.map(({ box, record }) => [box, watchName(record)]),
  );
  const settled = keyed.map((one) => {
    const { tags, values, quality } = valuesOf(one.record, one.columns);
    const watch = watchOf(one.box, watchName(one.record));
    return { one, values, quality, settings: settingsOf(watch, tags, one.record) };
  });
  const numberOf = await numbers.settings(settled.map(({ settings }) => settings));
  return settled.map(({ one, values, quality, settings: { watch, hash } }) => {
    const { score, verdict, reason, contributions } = one.record;
    return {
      ...base(one),
      watch,
      settings: numberOf(watch, hash),
      score,
      verdict,
      tag_values: values,
      reason: reason === '' ? null : reason,
      quality: Object.keys(quality).length === 0 ? null : quality,
      contributions: Array.isArray(contributions) && contributions.length > 0 ? contributions : null,
    };
  });
}

async function sampleRows(keyed: readonly Keyed[], numbers: NameNumbers): Promise<readonly Row[]> {
  const samples = keyed.flatMap((one) => samplesOf(one.record).map(([tag, sample]) => ({ one, tag, sample })));
  const tagOf = await numbers.names(
    'tags',
    samples.map(({ one, tag }) => [one.box, tag]),
  );
  return samples.map(({ one, tag, sample: [value, quality, afterMs = 0] }) => ({
    ...base(one),
    time: timeText(one.record.timestamp_ms + afterMs),
    tag: tagOf(one.box, tag),
    value,
    quality: quality === 'good' ? null : quality,
  }));
}

function summaryRow(one: Keyed): Row {
  const { record } = one;
  return {
    ...base(one),
    first_sequence: record['from'],
    ...picked(record, ['records', 'watch', 'count']),
    body: bodyOf(record),
  };
}

/** Returns tags, values and the qualities that are not good, from either form of a verdict. */
function valuesOf(record: RecordObject, columns: RecordMessage['columns']) {
  const quality = (record['quality'] ?? {}) as Readonly<Record<string, string>>;
  const list = typeof record['columns'] === 'number' ? columns[record['columns']] : undefined;
  if (list !== undefined && list !== null) return { tags: list, values: record['values'], quality };
  const named = (record['tags'] ?? {}) as Readonly<Record<string, number | null>>;
  const notGood = Object.entries(quality).filter(([, value]) => value !== 'good');
  return { tags: Object.keys(named), values: Object.values(named), quality: Object.fromEntries(notGood) };
}

function settingsOf(watch: number, tags: readonly string[], record: RecordObject): VerdictSettings {
  const fields = { ...picked(record, ['threshold', 'model', 'version', 'provider', 'fallbacks', 'imputed']), tags };
  const hash = createHash('sha256').update(JSON.stringify(fields)).digest('base64url');
  return { watch, hash, ...fields };
}

function watchName(record: RecordObject): string {
  return typeof record['watch'] === 'string' ? record['watch'] : '';
}

function picked(record: RecordObject, names: readonly string[]): Row {
  return Object.fromEntries(names.map((name) => [name, record[name] ?? null]));
}

function bodyOf({ id: _id, kind: _kind, timestamp_ms: _time, ...body }: RecordObject): Row {
  return body;
}

function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

import type { RecordBatch } from './record-batch.ts';
import type { RecordKind } from './record.ts';

/** Kinds that an uplink sends: those of the outbox, and summaries in place of records that were left out. */
export type SentKind = RecordKind | 'summary';

/** A record as it is sent: docs/uplinks.md has its fields. */
export type RecordObject = {
  readonly id: string;
  readonly kind: SentKind;
  readonly timestamp_ms: number;
  readonly [field: string]: unknown;
};

/** A sample of a `sample` record: value (null if none), quality, and milliseconds after the time of the record. */
export type SampleEntry = readonly [value: number | null, quality: string, afterMs?: number];

/** Returns the records of a batch that was read with `values: names`. */
export function recordObjects(batch: RecordBatch): readonly RecordObject[] {
  // The outbox wrote this JSON, in this form.
  return JSON.parse(new TextDecoder().decode(batch.json)) as readonly RecordObject[];
}

/** Returns the samples of a `sample` record by tag. */
export function samplesOf(record: RecordObject): readonly (readonly [tag: string, sample: SampleEntry])[] {
  return Object.entries((record['values'] ?? {}) as Readonly<Record<string, SampleEntry>>);
}

/** Parts of the id of a record. */
export type RecordIdParts = {
  readonly agent: string;
  readonly epoch: string;
  /** Of a summary: the last one of its range. */
  readonly sequence: number;
};

/** Returns the parts of `<agent.id>/<epoch>/<sequence>`. The id of a summary ends with its range, `<first>-<last>`. */
export function recordIdParts(id: string): RecordIdParts {
  const parts = id.split('/');
  const [epoch = '', end = ''] = parts.slice(-2);
  return { agent: parts.slice(0, -2).join('/'), epoch, sequence: Number(end.split('-').at(-1)) };
}

/** Returns the values of a `verdict` record by tag; null if missing. */
export function tagValuesOf(record: RecordObject): Readonly<Record<string, number | null>> {
  return (record['tags'] ?? {}) as Readonly<Record<string, number | null>>;
}

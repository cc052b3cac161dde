import type { RecordBatch } from './record-batch.ts';
import type { RecordKind } from './record.ts';

/** A record as it is sent: docs/uplinks.md has its fields. */
export type RecordObject = {
  readonly id: string;
  readonly kind: RecordKind;
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

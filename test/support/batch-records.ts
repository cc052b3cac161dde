import type { RecordBatch } from '../../src/domain/record/record-batch.ts';
import type { RecordKind, StoredRecord } from '../../src/domain/record/record.ts';

type RecordJson = {
  readonly id: string;
  readonly kind: RecordKind;
  readonly timestamp_ms: number;
  readonly watch?: string;
};

/** Returns the records of batches as a receiver parses them. */
export function recordsIn(batches: readonly RecordBatch[]): readonly StoredRecord[] {
  return batches.flatMap(({ json, sequences }) =>
    (JSON.parse(new TextDecoder().decode(json)) as readonly RecordJson[]).map((record, index) => {
      const { id, kind, timestamp_ms: timestampMs, ...body } = record;
      const text = JSON.stringify(body);
      return { id, sequence: sequences[index] ?? 0, kind, timestampMs, watch: record.watch ?? '', body: text };
    }),
  );
}

import { qualityOf } from '../domain/sample/quality.ts';
import type { RecordDraft } from '../domain/record/record.ts';
import type { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag } from '../domain/sample/tag.ts';

/**
 * Builds the record of a batch by exception: only samples that changed by their deadband or in quality.
 *
 * Body: `{"values":{"<tag>":[value, quality, offset_ms?]}}`. `value` is null for a missing one. `offset_ms` is the time
 * of the sample after the record's `timestamp_ms`, omitted if it is 0. Of several samples of one tag, the last counts.
 *
 * @param reported The quality gate's flags.
 * @returns Undefined if no sample changed.
 */
export function sampleDraft(gated: SampleBatch, reported: Uint8Array, tags: readonly Tag[]): RecordDraft | undefined {
  let timestampMs = Infinity;
  for (let index = 0; index < gated.length; index += 1)
    if (reported[index] === 1) timestampMs = Math.min(timestampMs, gated.timesMs[index] ?? Infinity);
  if (timestampMs === Infinity) return undefined;
  const values: Record<string, readonly unknown[]> = {};
  for (let index = 0; index < gated.length; index += 1) {
    const name = tags[gated.tags[index] ?? -1]?.name;
    if (reported[index] !== 1 || name === undefined || name === '') continue;
    const value = gated.values[index] ?? Number.NaN;
    const offsetMs = Math.round((gated.timesMs[index] ?? timestampMs) - timestampMs);
    const sample = [Number.isFinite(value) ? value : null, qualityOf(gated.qualities[index] ?? 2)];
    values[name] = offsetMs === 0 ? sample : [...sample, offsetMs];
  }
  return { kind: 'sample', timestampMs, body: { values }, alarm: undefined };
}

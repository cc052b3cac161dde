import { qualityOf } from '../domain/sample/quality.ts';
import type { RecordDraft } from '../domain/record/record.ts';
import type { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag } from '../domain/sample/tag.ts';

/**
 * One batch's samples as a record, reported by exception: only those that changed by their deadband or in quality.
 *
 * Body: `{"values":{"<tag>":[value, quality, offset_ms?]}}`. `value` is null where there is none; `offset_ms` is the
 * sample's time after the record's `timestamp_ms`, left out where it is 0. Of a tag that is in the batch several times,
 * the last sample counts.
 *
 * @param reported The quality gate's flags.
 * @returns Undefined where nothing changed.
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
  return { kind: 'sample', timestampMs, watch: '', body: { values }, alarm: undefined };
}

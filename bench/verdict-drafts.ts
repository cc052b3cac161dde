import type { RecordDraft } from '../src/domain/record/record.ts';
import { VerdictRecords } from '../src/pipeline/verdict-record.ts';
import { MODEL, WATCHED_TAGS, watchOf } from './workload.ts';

/** Creates records in the form that the agent stores: verdicts on 32 tags. */
export function verdictDrafts(count: number): readonly RecordDraft[] {
  const nowMs = Date.now();
  const verdicts = new VerdictRecords();
  return Array.from({ length: count }, (_, index) => {
    const row = Float32Array.from({ length: WATCHED_TAGS }, (__, tag) => index + tag / 7);
    const verdict = {
      watch: watchOf((index % 64) + 1),
      timestampMs: nowMs + index,
      verdict: 'normal',
      score: index / 1000,
      threshold: 1,
      reason: '',
      judgedBy: { model: MODEL, version: 1, provider: 'cpu', fallbacks: [] },
      contributions: [],
    } as const;
    const readings = Array.from(row, (value, tag) => ({
      tag: `m1.t${tag}`,
      value,
      unit: 'bar',
      timestampMs: verdict.timestampMs,
      quality: 'good' as const,
      reason: 'none' as const,
    }));
    return verdicts.draft(verdict, row, readings);
  });
}

import type { RecordDraft } from '../src/domain/record/record.ts';
import { VerdictRecords } from '../src/pipeline/verdict-record.ts';
import { MODEL, WATCHED_TAGS, watchOf } from './workload.ts';

/** Creates records in the form that the agent stores: by default verdicts on 32 tags, without contributions. */
export function verdictDrafts(
  count: number,
  { watches = 64, tags = WATCHED_TAGS }: { readonly watches?: number; readonly tags?: number } = {},
): readonly RecordDraft[] {
  const names = Array.from({ length: tags }, (_, tag) => `m1.t${tag}`);
  const contributions = tags === WATCHED_TAGS ? [] : names.slice(0, 5).map((tag) => ({ tag, share: 0.1 }));
  const nowMs = Date.now();
  const verdicts = new VerdictRecords();
  return Array.from({ length: count }, (_, index) => {
    const row = Float32Array.from({ length: tags }, (__, tag) => index + tag / 7);
    const verdict = {
      watch: watchOf((index % watches) + 1),
      timestampMs: nowMs + index,
      verdict: 'normal',
      score: index / 1000,
      threshold: 1,
      reason: '',
      judgedBy: { model: MODEL, version: 1, provider: 'cpu', fallbacks: [] },
      contributions,
    } as const;
    return verdicts.draft(verdict, row, names, () => 'good');
  });
}

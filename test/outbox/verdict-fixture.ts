import { encodeVerdict, type VerdictNames } from '../../src/domain/record/verdict-columns.ts';
import type { RecordDraft } from '../../src/domain/record/record.ts';

/** A verdict with columns: the tags have the values number, number + 0.5, number + 1, and so on. */
export function columnDraft(number: number, options: { watch?: string; tags?: readonly string[] } = {}): RecordDraft {
  const { watch = 'pump-1', tags = ['a', 'b'] } = options;
  const names: VerdictNames = {
    watch,
    threshold: 1,
    model: 'pump-anomaly',
    version: 1,
    provider: 'cpu',
    fallbacks: [],
    tags,
  };
  const bytes = encodeVerdict(tags, {
    score: number,
    verdict: 'normal',
    reason: undefined,
    contributions: [],
    values: Float32Array.from(tags, (_, tag) => number + tag / 2),
    qualities: tags.map(() => 'good' as const),
  });
  return {
    kind: 'verdict',
    timestampMs: 1_800_000_000_000 + number,
    watch,
    body: {},
    columns: { names: JSON.stringify(names), bytes },
    alarm: undefined,
  };
}

import type { JSX } from 'preact';
import { scorePosition, THRESHOLD_AT } from './score-scale.ts';
import { formatNumber } from '../texts/format.ts';
import { t } from '../texts/language.ts';

type ScoreBarProps = {
  readonly score: number | null | undefined;
  readonly threshold: number | null | undefined;
  readonly abnormal: 'above' | 'below' | undefined;
};

/** A score against its threshold, as a bullet bar on a logarithmic scale. */
export function ScoreBar({ score, threshold, abnormal }: ScoreBarProps): JSX.Element {
  const at = scorePosition(score, threshold, abnormal);
  const isOver = at !== undefined && at > THRESHOLD_AT;
  const label = t('score.bar', { score: formatNumber(score), threshold: formatNumber(threshold) });
  return (
    <svg class="score-bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={label}>
      <rect class="band" x="0" y="0" width="100" height="8" />
      <rect class="over" x={100 * THRESHOLD_AT} y="0" width={100 - 100 * THRESHOLD_AT} height="8" />
      {at !== undefined && <rect class="value" data-over={isOver} x="0" y="2" width={100 * at} height="4" />}
      <rect class="threshold" x={100 * THRESHOLD_AT - 0.5} y="0" width="1" height="8" />
    </svg>
  );
}

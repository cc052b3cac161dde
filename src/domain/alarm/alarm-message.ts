import type { ActionCause } from './alarm.ts';
import type { EpochMs } from '../epoch-ms.ts';

/** A tag in the message of an alarm. `share` of the score is 0–1; undefined if the model has no contributions. */
export type BlamedTag = {
  readonly tag: string;
  readonly value: number | undefined;
  readonly unit: string;
  readonly share: number | undefined;
  /** Smallest and largest value in normal operation, from the training of the model; optional. */
  readonly normalRange?: readonly [number, number] | undefined;
};

export type AlarmOccasion = {
  readonly watch: string;
  readonly score: number | undefined;
  readonly threshold: number | undefined;
  /** Largest share first. */
  readonly tags: readonly BlamedTag[];
};

/** Most tags in a message if the model has no contributions. */
const TAGS_NAMED_MAX = 3;

/**
 * Returns a sentence about what an operator should check: 'pump-1.vibration is at 4.2 g (normally 0.7 to 0.94 g; 62 % of
 * the score): the score of pump-1 is 1.37, above its threshold of 1.'
 */
export function scoreMessage(
  cause: 'score-above-threshold' | 'score-below-threshold' | 'returned-to-normal',
  occasion: AlarmOccasion,
): string {
  const score = formatNumber(occasion.score);
  const threshold = formatNumber(occasion.threshold);
  switch (cause) {
    case 'score-above-threshold':
      return `${blame(occasion.tags)}: the score of ${occasion.watch} is ${score}, above its threshold of ${threshold}.`;
    case 'score-below-threshold':
      return `${blame(occasion.tags)}: the score of ${occasion.watch} is ${score}, below its threshold of ${threshold}.`;
    case 'returned-to-normal':
      return `${occasion.watch} is normal again: its score is ${score}, the threshold ${threshold}.`;
  }
}

/** Returns a sentence about an action of an operator, the clock or the configuration. */
export function actionMessage(
  cause: ActionCause,
  action: { readonly alarm: string; readonly by: string | undefined; readonly untilMs: EpochMs | undefined },
): string {
  const { alarm, untilMs } = action;
  const by = action.by === undefined ? '' : ` by ${action.by}`;
  const until = untilMs === undefined ? '' : ` until ${new Date(untilMs).toISOString()}`;
  const sentences: Readonly<Record<typeof cause, string>> = {
    acknowledged: `${alarm} was acknowledged${by}.`,
    shelved: `${alarm} was shelved${by}${until}.`,
    unshelved: `${alarm} was unshelved${by}.`,
    'shelving-ended': `The shelving of ${alarm} ended.`,
    'suppressed-by-design': `${alarm} is suppressed by design${by}.`,
    'out-of-service': `${alarm} was taken out of service${by}.`,
    'returned-to-service': `${alarm} returned to service.`,
  };
  return sentences[cause];
}

function blame(tags: readonly BlamedTag[]): string {
  const [first] = tags;
  if (first === undefined) return 'Abnormal';
  if (first.share !== undefined)
    return `${reading(first)} (${normally(first)}${Math.round(first.share * 100)} % of the score)`;
  return tags.slice(0, TAGS_NAMED_MAX).map(reading).join(', ');
}

function reading({ tag, value, unit }: BlamedTag): string {
  if (value === undefined) return `${tag} has no value now`;
  return `${tag} is at ${formatNumber(value)}${unit === '' ? '' : ` ${unit}`}`;
}

function normally({ normalRange, unit }: BlamedTag): string {
  if (normalRange === undefined) return '';
  const [low, high] = normalRange;
  return `normally ${formatNumber(low)} to ${formatNumber(high)}${unit === '' ? '' : ` ${unit}`}; `;
}

/** Formats a number for display, with four significant digits. */
export function formatNumber(value: number | undefined): string {
  return value === undefined ? 'unknown' : String(Number(value.toPrecision(4)));
}

import type { PlantCause } from './alarm-logic.ts';
import type { AlarmCause } from './alarm.ts';
import type { EpochMs } from '../epoch-ms.ts';

/** A tag as an alarm's message names it. `share` of the score, 0–1; undefined where the model explains nothing. */
export type BlamedTag = {
  readonly tag: string;
  readonly value: number | undefined;
  readonly unit: string;
  readonly share: number | undefined;
  /** Lowest and highest value of normal running, as the model was trained; left out where it does not say. */
  readonly normalRange?: readonly [number, number] | undefined;
};

export type AlarmOccasion = {
  readonly watch: string;
  readonly score: number | undefined;
  readonly threshold: number | undefined;
  /** Most to blame first. */
  readonly tags: readonly BlamedTag[];
};

/** Tags that a message names where the model does not say which one is to blame. */
const TAGS_NAMED_MAX = 3;

/**
 * Says in a sentence what an operator should look at: 'pump-1.vibration is at 4.2 g (normally 0.7 to 0.94 g; 62 % of
 * the score): the score of pump-1 is 1.37, above its threshold of 1.'
 */
export function scoreMessage(cause: PlantCause, occasion: AlarmOccasion): string {
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

/** The same for what people, the clock or the configuration did. */
export function actMessage(
  cause: Exclude<AlarmCause, PlantCause>,
  act: { readonly watch: string; readonly by: string | undefined; readonly untilMs: EpochMs | undefined },
): string {
  const by = act.by === undefined ? '' : ` by ${act.by}`;
  switch (cause) {
    case 'acknowledged':
      return `${act.watch} was acknowledged${by}.`;
    case 'shelved':
      return `${act.watch} was shelved${by}${act.untilMs === undefined ? '' : ` until ${new Date(act.untilMs).toISOString()}`}.`;
    case 'unshelved':
      return `${act.watch} was taken off the shelf${by}.`;
    case 'shelving-ended':
      return `The shelving of ${act.watch} is over.`;
    case 'suppressed-by-design':
      return `${act.watch} is suppressed by design${by}.`;
    case 'out-of-service':
      return `${act.watch} was taken out of service${by}.`;
    case 'returned-to-service':
      return `${act.watch} is in service again.`;
  }
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

/** Four significant digits are what a person reads off a display. */
function formatNumber(value: number | undefined): string {
  return value === undefined ? 'unknown' : String(Number(value.toPrecision(4)));
}

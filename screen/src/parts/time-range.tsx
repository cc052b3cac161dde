import type { JSX } from 'preact';
import { query, setQuery } from './router.ts';
import { t } from '../texts/language.ts';

/** Ranges that end now, by their name in the address. */
const ranges = {
  '15m': 900_000,
  '1h': 3_600_000,
  '8h': 28_800_000,
  '1d': 86_400_000,
  '7d': 604_800_000,
  '30d': 2_592_000_000,
} as const;
export type RangeName = keyof typeof ranges;

export type TimeRange = {
  readonly fromMs: number;
  readonly toMs: number;
  /** Name of a range that ends now; undefined for one between two times. */
  readonly name: RangeName | undefined;
};

/** Returns the range in the address: `?from=…&to=…` (epoch milliseconds) or `?range=1h`. */
export function rangeOfQuery(byDefault: RangeName): TimeRange {
  const [from, to] = [Number(query.value.get('from')), Number(query.value.get('to'))];
  if (from > 0 && to > from) return { fromMs: from, toMs: to, name: undefined };
  const wanted = query.value.get('range');
  const name = wanted !== null && Object.hasOwn(ranges, wanted) ? (wanted as RangeName) : byDefault;
  const toMs = Date.now();
  return { fromMs: toMs - ranges[name], toMs, name };
}

/** The newest part of a range is read alone, unless the page was away for longer than this. */
const FOLLOW_MS_MAX = 120_000;

/** Returns true if `range` is the range of an earlier answer, a little later, so that only its newest part is missing. */
export function canFollow(earlier: { readonly fromMs: number; readonly toMs: number }, range: TimeRange): boolean {
  if (range.name === undefined) return false;
  const isSame = Math.abs(earlier.toMs - earlier.fromMs - ranges[range.name]) < 1000;
  return isSame && range.toMs - earlier.toMs <= FOLLOW_MS_MAX;
}

/** Shows a range between two times. */
export function zoomTo(fromMs: number, toMs: number): void {
  setQuery({ range: undefined, from: String(Math.floor(fromMs)), to: String(Math.ceil(toMs)) });
}

type RangeChoiceProps = { readonly names: readonly RangeName[]; readonly present: TimeRange };

/** Buttons for ranges that end now. */
export function RangeChoice({ names, present }: RangeChoiceProps): JSX.Element {
  return (
    <div class="choice" role="group" aria-label={t('range.title')}>
      {names.map((name) => (
        <button
          key={name}
          type="button"
          aria-pressed={present.name === name}
          onClick={() => setQuery({ range: name, from: undefined, to: undefined })}
        >
          {t(`range.${name}`)}
        </button>
      ))}
    </div>
  );
}

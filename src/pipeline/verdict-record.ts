import type { TagReading } from '../contracts/live-events.ts';
import type { RecordDraft } from '../domain/record/record.ts';
import { encodeVerdict, type VerdictNames } from '../domain/record/verdict-columns.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';

/** Sets of names kept. More than two of one watch are rare: its model judges or does not. */
const NAMES_MAX = 10_000;

/**
 * Builds the records of verdicts: the payload of subscribers, the execution provider and the reasons why earlier ones in
 * the list are not used, and for each tag its value in the window's last row (null if missing) and its quality.
 */
export class VerdictRecords {
  readonly #names = new Map<string, { readonly tags: readonly string[]; readonly text: string }>();

  /**
   * @param lastRow NaN for a missing value; undefined without a window.
   * @param readings Current readings of the watch's tags, in the order of the row.
   */
  draft(verdict: Verdict, lastRow: Float32Array | undefined, readings: readonly TagReading[]): RecordDraft {
    const { tags, text } = this.#namesOf(verdict, readings);
    const values = lastRow ?? new Float32Array(tags.length).fill(Number.NaN);
    const qualities = readings.map(({ quality }, tag) => {
      if (!Number.isNaN(values[tag] ?? Number.NaN)) return 'good';
      // A value that is too old for the row is not good, although its last sample was.
      return quality === 'good' ? 'bad' : quality;
    });
    return {
      kind: 'verdict',
      timestampMs: verdict.timestampMs,
      watch: verdict.watch,
      body: {},
      columns: { names: text, bytes: encodeVerdict(tags, { ...verdict, values, qualities }) },
      alarm: undefined,
    };
  }

  #namesOf(verdict: Verdict, readings: readonly TagReading[]) {
    const { watch, judgedBy } = verdict;
    const threshold = verdict.threshold ?? null;
    const { model = null, version = null, provider = null, fallbacks = [] } = judgedBy ?? {};
    const key = JSON.stringify([watch, threshold, model, version, provider, fallbacks]);
    const known = this.#names.get(key);
    if (known?.tags.length === readings.length && readings.every(({ tag }, index) => known.tags[index] === tag))
      return known;
    const tags = readings.map(({ tag }) => tag);
    const names: VerdictNames = { watch, threshold, model, version, provider, fallbacks, tags };
    const added = { tags, text: JSON.stringify(names) };
    if (this.#names.size >= NAMES_MAX) this.#names.clear();
    this.#names.set(key, added);
    return added;
  }
}

import type { RecordDraft } from '../domain/record/record.ts';
import { encodeVerdict, type VerdictNames } from '../domain/record/verdict-columns.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';
import type { Quality } from '../domain/sample/quality.ts';

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
   * @param tags Names of the watch's tags, in the order of the row.
   * @param qualityOf Returns the present quality of a tag, by its position in `tags`.
   */
  draft(
    verdict: Verdict,
    lastRow: Float32Array | undefined,
    tags: readonly string[],
    qualityOf: (position: number) => Quality,
  ): RecordDraft {
    const text = this.#namesOf(verdict, tags);
    const values = lastRow ?? new Float32Array(tags.length).fill(Number.NaN);
    const qualities = tags.map((_, position) => {
      if (!Number.isNaN(values[position] ?? Number.NaN)) return 'good';
      // A value that is too old for the row is not good, although its last sample was.
      const quality = qualityOf(position);
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

  /** @returns The JSON text of the names. */
  #namesOf(verdict: Verdict, tags: readonly string[]): string {
    const { watch, judgedBy, imputed } = verdict;
    const threshold = verdict.threshold ?? null;
    const { model = null, version = null, provider = null, fallbacks = [] } = judgedBy ?? {};
    const key = JSON.stringify([watch, threshold, model, version, provider, fallbacks, imputed]);
    const known = this.#names.get(key);
    if (known?.tags === tags) return known.text;
    const judged = { watch, threshold, model, version, provider, fallbacks, tags };
    const names: VerdictNames = imputed === undefined ? judged : { ...judged, imputed };
    const added = { tags, text: JSON.stringify(names) };
    if (this.#names.size >= NAMES_MAX) this.#names.clear();
    this.#names.set(key, added);
    return added.text;
  }
}

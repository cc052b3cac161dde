import type { TagSeries, VersionDetail } from '../agent/api-types.ts';
import { t } from '../texts/language.ts';

type Values = readonly (number | string | boolean)[];

/** Inputs of a run, as the API takes them. */
export type TryOutInputs = Readonly<
  Record<string, Values | { readonly dims: readonly number[]; readonly data: Values }>
>;

type WindowOf = Pick<VersionDetail, 'tags' | 'window' | 'input' | 'example'>;

/**
 * Returns the window of a text for each tag. One value fills the column; otherwise there is one for each row.
 *
 * @throws {Error} With the tag and what is wrong.
 */
export function inputsOfColumns({ tags, window, input }: WindowOf, texts: readonly string[]): TryOutInputs {
  const steps = window?.steps ?? 1;
  const columns = texts.map((text, column) => {
    const values = numbersIn(text);
    if (values.length === 1 || values.length === steps) return values;
    throw new Error(t('models.try.count', { tag: tags[column]?.name ?? '', count: values.length, steps }));
  });
  const rows = Array.from({ length: steps }, (_, row) => columns.map((column) => column[row] ?? column[0] ?? 0));
  return { [input ?? 'window']: rows.flat() };
}

/** @throws {Error} with the word that is not a number. A decimal comma is accepted. */
function numbersIn(text: string): readonly number[] {
  return text
    .trim()
    .split(/[\s;]+/)
    .filter((each) => each !== '')
    .map((each) => {
      const value = Number(each.replace(',', '.'));
      if (Number.isFinite(value)) return value;
      throw new Error(t('models.try.bad', { text: each }));
    });
}

/** Returns the text for each tag of the example of a version. */
export function columnTexts({ tags, input, example }: WindowOf): readonly string[] {
  const values = example?.[input ?? 'window'];
  if (!Array.isArray(values)) return [];
  return tags.map((_, column) => values.filter((_value, index) => index % tags.length === column).join(' '));
}

/** Returns the example of a version as JSON. */
export function exampleInputs({ example }: WindowOf): string {
  return example === null ? '' : JSON.stringify(example);
}

/**
 * Returns the text for each tag of the newest window of recorded samples. A value is held until the next one; a row before the
 * first sample has that sample.
 *
 * @param series One for each tag, oldest sample first.
 */
export function windowTexts(series: readonly TagSeries[], steps: number, stepMs: number): readonly string[] {
  const endMs = Math.max(...series.map(({ timestamps_ms: times }) => times.at(-1) ?? -Infinity));
  const lastMs = Math.floor(endMs / stepMs) * stepMs;
  return series.map(({ timestamps_ms: times, values }) =>
    values.length === 0
      ? ''
      : Array.from({ length: steps }, (_, row) => {
          const rowMs = lastMs - (steps - 1 - row) * stepMs;
          const index = times.findLastIndex((timeMs) => timeMs <= rowMs);
          return String(values[Math.max(index, 0)]);
        }).join(' '),
  );
}

/** Numbers by the text that a sender writes for a state, from `map` of a tag. */
export type ValueMap = ReadonlyMap<string, number>;

/** Longest text that is parsed as a number. */
const NUMBER_CHARACTERS_MAX = 64;
const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** Keys are compared without surrounding white space and in any case. */
export function valueMapOf(map: Readonly<Record<string, number>> | undefined): ValueMap | undefined {
  return map === undefined ? undefined : new Map(Object.entries(map).map(([text, value]) => [keyOf(text), value]));
}

/**
 * Reads a text as a number: by the map, or a decimal number, or `true` and `false` in any case as 1 and 0.
 *
 * @returns NaN or an infinity for their names; undefined for any other text.
 */
export function numberOfText(text: string, map: ValueMap | undefined): number | undefined {
  if (text.length > NUMBER_CHARACTERS_MAX) return undefined;
  const key = keyOf(text);
  const mapped = map?.get(key);
  if (mapped !== undefined) return mapped;
  if (decimal.test(key)) return Number(key);
  if (key === 'true') return 1;
  if (key === 'false') return 0;
  return notFinite.get(key);
}

const notFinite: ReadonlyMap<string, number> = new Map(
  ['', '+', '-'].flatMap((sign): [string, number][] => [
    [`${sign}nan`, Number.NaN],
    [`${sign}inf`, sign === '-' ? -Infinity : Infinity],
    [`${sign}infinity`, sign === '-' ? -Infinity : Infinity],
  ]),
);

function keyOf(text: string): string {
  return text.trim().toLowerCase();
}

/** Longest name that is shown in full; longer ones are cut. */
const CHARACTERS_MAX = 24;
/** A shorter longest name makes the text no larger. */
const CHARACTERS_MIN = 8;
/** Height of a name per height of its tile, as in kiosk.css. */
const HEIGHT_SHARE = 0.4;
/** Width of a tile per width of a character of its name, in sizes of the text. */
const WIDTH_SHARE = 1.4;

export type WallLayout = {
  readonly columns: number;
  /** Largest size of a name, per width of its tile. */
  readonly nameShare: number;
};

/**
 * Returns the number of columns with which the names on the wall are largest.
 *
 * @param names Names on the tiles.
 * @param area Width and height of the tiles together, px.
 */
export function wallLayout(
  names: readonly string[],
  area: { readonly width: number; readonly height: number },
): WallLayout {
  const longest = Math.max(CHARACTERS_MIN, ...names.map(({ length }) => length));
  const nameShare = WIDTH_SHARE / Math.min(CHARACTERS_MAX, longest);
  const sizeOf = (columns: number): number =>
    Math.min((HEIGHT_SHARE * area.height) / Math.ceil(names.length / columns), (nameShare * area.width) / columns);
  const counts = Array.from({ length: Math.max(1, names.length) }, (_, index) => index + 1);
  const columns = counts.reduce((best, count) => (sizeOf(count) > sizeOf(best) ? count : best));
  return { columns, nameShare };
}

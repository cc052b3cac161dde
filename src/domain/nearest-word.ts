/** Largest edit distance that counts as a typing error: one letter in three, at most three. */
function distanceMax(word: string): number {
  return Math.min(3, Math.floor((word.length + 1) / 3));
}

/** Returns the candidate that `word` most likely means, or undefined if none is close. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const plain = simplified(word);
  const exact = candidates.find((candidate) => simplified(candidate) === plain);
  if (exact !== undefined) return exact;
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(plain, simplified(candidate)) }))
    .toSorted((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= distanceMax(plain) ? best.candidate : undefined;
}

/** Returns the word in lower case, without dashes, underscores and spaces. */
export function simplified(word: string): string {
  return word.toLowerCase().replace(/[-_\s]/g, '');
}

/**
 * Returns the number of letters to insert, remove, replace or swap with their neighbour to turn one word into the other.
 * @see Damerau 1964; the restricted form (optimal string alignment).
 */
export function editDistance(from: string, to: string): number {
  // Words of very different length cannot be typing errors. This also limits the size of the table.
  if (Math.abs(from.length - to.length) > 3 || from.length > 100) return Math.max(from.length, to.length);
  let twoBack: number[] = [];
  let back = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1];
      const replace = at(back, column - 1) + (same ? 0 : 1);
      let distance = Math.min(at(current, column - 1) + 1, at(back, column) + 1, replace);
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (row > 1 && column > 1 && swapped) distance = Math.min(distance, at(twoBack, column - 2) + 1);
      current.push(distance);
    }
    twoBack = back;
    back = current;
  }
  return at(back, to.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.MAX_SAFE_INTEGER;
}

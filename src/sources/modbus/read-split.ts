import { ReadPart } from './read-part.ts';
import type { ReadLimits } from './register-plan.ts';
import { blockOf, planReads } from './register-plan.ts';

/** Two halves of a read with at least two tags, by address. */
export function splitPart(part: ReadPart, random: () => number): readonly ReadPart[] {
  const { items } = part.block;
  const middle = items.length >>> 1;
  return [items.slice(0, middle), items.slice(middle)].map((half) => {
    const piece = new ReadPart(blockOf(half), part.planned, random);
    // A read that was split for going unanswered passes on what it is suspected of: one more failure decides.
    piece.strikes = Math.max(0, part.strikes - 1);
    piece.answersAtStrike = part.answersAtStrike;
    return piece;
  });
}

/**
 * Puts the pieces of a planned read together again, once it is known which of its tags are refused: the readable
 * ones are joined anew into the fewest reads that touch no refused address.
 *
 * @param parts All pieces of one planned read.
 * @returns Undefined while a piece is neither proven nor set aside.
 */
export function rejoinParts(
  parts: readonly ReadPart[],
  limits: ReadLimits,
  random: () => number,
): readonly ReadPart[] | undefined {
  const refused = parts.filter(({ setAside }) => setAside !== undefined);
  const readable = parts.filter(({ setAside }) => setAside === undefined);
  if (readable.some(({ proven }) => !proven)) return undefined;
  const blocks = planReads(
    readable.flatMap(({ block }) => block.items),
    limits,
    refused.flatMap(({ block }) => block.items),
  );
  return [
    ...blocks.map((block) => {
      const same = readable.find(
        (part) => part.block.items.length === block.items.length && part.block.address === block.address,
      );
      return same ?? new ReadPart(block, readable[0]?.planned ?? block, random);
    }),
    ...refused,
  ];
}

import type { NumberedTag } from './read-part.ts';
import { ReadPart } from './read-part.ts';
import type { Placed, ReadBlock, ReadLimits } from './register-plan.ts';
import { blockOf, planReads } from './register-plan.ts';

/** Whether halves would ask for less: not where all tags are in the same registers, as the bits of a status word are. */
export function canSplit({ block }: ReadPart): boolean {
  return boundaries(block.items).length > 0;
}

/** Two halves of a read that can be split, by address; tags in the same registers stay together. */
export function splitPart(part: ReadPart, random: () => number): readonly ReadPart[] {
  const { items } = part.block;
  const centre = items.length / 2;
  const middle = boundaries(items).reduce(
    (best, at) => (Math.abs(at - centre) < Math.abs(best - centre) ? at : best),
    0,
  );
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
      const same = readable.find((part) => hasSameTags(part.block, block));
      return same ?? new ReadPart(block, readable[0]?.planned ?? block, random);
    }),
    ...refused,
  ];
}

/** Positions at which a tag is in other registers than the one before. */
function boundaries(items: readonly Placed[]): readonly number[] {
  return items.flatMap(({ address, width }, index) => {
    const before = items[index - 1];
    return before === undefined || (before.address === address && before.width === width) ? [] : [index];
  });
}

function hasSameTags({ items }: ReadBlock<NumberedTag>, other: ReadBlock<NumberedTag>): boolean {
  return items.length === other.items.length && items.every((item, index) => item === other.items[index]);
}

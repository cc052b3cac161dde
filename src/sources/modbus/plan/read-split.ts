import { type NumberedTag, ReadPart } from './read-part.ts';
import { blockOf, type Placed, planReads, type ReadBlock, type ReadLimits } from './register-plan.ts';

/** Returns true if halves would read fewer registers; false if all tags share the same registers, such as the bits of a status word. */
export function canSplit({ block }: ReadPart): boolean {
  return boundaries(block.items).length > 0;
}

/** Splits a read into two halves by address; tags in the same registers stay together. */
export function splitPart(part: ReadPart, random: () => number): readonly ReadPart[] {
  const { items } = part.block;
  const centre = items.length / 2;
  const middle = boundaries(items).reduce(
    (best, at) => (Math.abs(at - centre) < Math.abs(best - centre) ? at : best),
    0,
  );
  return [items.slice(0, middle), items.slice(middle)].map((half) => {
    const piece = new ReadPart(blockOf(half), part.planned, random);
    // The halves of an unanswered read inherit its strikes minus one: one more failure decides.
    piece.strikes = Math.max(0, part.strikes - 1);
    piece.answersAtStrike = part.answersAtStrike;
    return piece;
  });
}

/**
 * Joins the parts of a planned read again when all refused tags are known: the readable tags are combined into the
 * fewest reads that touch no refused address.
 *
 * @param parts All parts of one planned read.
 * @returns Undefined while a part is neither proven nor disabled.
 */
export function rejoinParts(
  parts: readonly ReadPart[],
  limits: ReadLimits,
  random: () => number,
): readonly ReadPart[] | undefined {
  const refused = parts.filter(({ disabled }) => disabled !== undefined);
  const readable = parts.filter(({ disabled }) => disabled === undefined);
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

/** Returns the positions at which a tag starts in registers other than the previous tag's. */
function boundaries(items: readonly Placed[]): readonly number[] {
  return items.flatMap(({ address, width }, index) => {
    const before = items[index - 1];
    return before === undefined || (before.address === address && before.width === width) ? [] : [index];
  });
}

function hasSameTags({ items }: ReadBlock<NumberedTag>, other: ReadBlock<NumberedTag>): boolean {
  return items.length === other.items.length && items.every((item, index) => item === other.items[index]);
}

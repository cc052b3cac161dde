import type { BindTag, TagRefusal } from '../contracts/source.ts';
import type { TagNumber } from '../domain/sample/tag.ts';
import { invariant } from '../platform/errors.ts';

/** Returns the number of a tag that the configuration names. */
export function tagNumberOf(name: string, tagNumbers: ReadonlyMap<string, TagNumber>): TagNumber {
  const tag = tagNumbers.get(name);
  invariant(tag !== undefined, `The tag ${name} has no number`);
  return tag;
}

/** Replacement for bytes that are not UTF-8. Two different names could contain it at the same position. */
const NOT_UTF8 = '\uFFFD';

/** Tags that patterns create. Each reads one topic or metric only: the first that was received. */
export class PatternTags {
  readonly #bindTag: BindTag;
  readonly #originOfTag = new Map<TagNumber, string>();

  constructor(bindTag: BindTag) {
    this.#bindTag = bindTag;
  }

  bind(pattern: string, name: string, origin: string): TagNumber | TagRefusal {
    if (name.includes(NOT_UTF8)) return 'name-unfit';
    const tag = this.#bindTag(pattern, name);
    if (typeof tag !== 'number') return tag;
    const first = this.#originOfTag.get(tag);
    if (first !== undefined && first !== origin) return 'name-taken';
    this.#originOfTag.set(tag, origin);
    return tag;
  }
}

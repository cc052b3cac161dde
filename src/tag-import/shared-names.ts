import type { ImportDraft, TagKeys } from './imported-tags.ts';

type NamedTag = {
  readonly source: string;
  /** Parts of the name, from the shortest name to the longest. */
  readonly levels: readonly (readonly string[])[];
  readonly keys: TagKeys;
  readonly line: number;
};

/**
 * Names for tags of tools that require unique names within a device or group only. All tags get the shortest form with
 * which every name is unique, so that one import has one form.
 */
export class SharedNames {
  readonly #tags: NamedTag[] = [];
  readonly #ids = new Set<string>();

  add(tag: NamedTag): void {
    this.#tags.push(tag);
  }

  /** Returns an id that no other source has, for one unit or for several. */
  sourceIdOf(id: string, units: readonly number[]): string {
    const taken = (candidate: string) =>
      units.length === 0
        ? this.#ids.has(candidate)
        : units.some((unit) => this.#ids.has(`${candidate}-unit-${unit}`)) || this.#ids.has(candidate);
    let free = id;
    for (let count = 2; taken(free); count += 1) free = `${id}-${count}`;
    this.#ids.add(free);
    for (const unit of units) this.#ids.add(`${free}-unit-${unit}`);
    return free;
  }

  addTo(draft: ImportDraft): void {
    const depth = Math.max(0, ...this.#tags.map(({ levels }) => levels.length));
    const nameAt = ({ levels }: NamedTag, level: number) => (levels[level] ?? levels.at(-1) ?? []).join('.');
    const isUnique = (level: number) => new Set(this.#tags.map((tag) => nameAt(tag, level))).size === this.#tags.length;
    const levels = Array.from({ length: depth }, (_, level) => level);
    const level = levels.find(isUnique) ?? depth - 1;
    for (const tag of this.#tags) draft.addTag(tag.source, nameAt(tag, level), tag.keys, tag.line);
  }
}

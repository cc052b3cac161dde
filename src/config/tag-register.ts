import { isDeepStrictEqual } from 'node:util';
import type { TagRefusal } from '../contracts/source.ts';
import type { Tag, TagNumber } from '../domain/sample/tag.ts';
import { type AgentConfig, isTopicSafeName } from './config-schema.ts';
import { agentTags, type SourcePattern, tagPatterns } from './config-tags.ts';

type RegisterConfig = Pick<AgentConfig, 'sources' | 'derived' | 'watches' | 'publish' | 'sparkplug'>;

/**
 * The agent's tag table: assigns a number to each tag name.
 *
 * Each pattern has `tagsMax` slots. A tag that a watch names has a slot from the start, so that the watch can be bound
 * to it. The other slots go to the first names received. A number never gets another name until the agent stops, so a
 * value cannot appear under another name.
 */
export class TagRegister {
  /** One array for the life of the register. It only grows. */
  readonly #tags: Tag[] = [];
  #byName = new Map<string, Tag>();
  /** Numbers of all tags so far, by source and name. */
  readonly #numbers = new Map<string, TagNumber>();
  /** Result of `numbers`, which every source keeps: a copy for each takes 60 MB with 64 sources and 32,000 tags. */
  #numberByName: ReadonlyMap<string, TagNumber> | undefined;
  /** Numbers that never had a name, by source and pattern. */
  readonly #free = new Map<string, TagNumber[]>();

  constructor(config: RegisterConfig) {
    this.change(config);
  }

  /**
   * Applies another configuration. Tags keep their numbers, also if they are gone for a time.
   *
   * @returns Numbers that have a tag for the first time, whose tag is gone, or whose tag has other rules.
   */
  change(config: RegisterConfig): ReadonlySet<TagNumber> {
    const before = [...this.#tags];
    const patterns = tagPatterns(config);
    const tags = [...agentTags(config), ...this.#created(patterns)];
    const spare = [...this.#free.values()].flat();
    for (const { number } of before) this.#tags[number] = emptySlot(number);
    this.#free.clear();
    this.#byName = new Map();
    this.#numberByName = undefined;
    for (const tag of tags) if (!this.#byName.has(tag.name)) this.#place(tag, spare);
    for (const { template: _template, tagsMax, ...rules } of patterns) {
      const { source, pattern } = rules;
      const taken = [...this.#byName.values()].filter((tag) => tag.source === source && tag.pattern === pattern).length;
      const free = Array.from({ length: Math.max(0, tagsMax - taken) }, () => this.#put({ ...rules, name: '' }, spare));
      this.#free.set(key(source, pattern), free.toReversed());
    }
    return new Set(this.#tags.flatMap((tag, number) => (isDeepStrictEqual(tag, before[number]) ? [] : [number])));
  }

  /** Tags in the order of their numbers. A slot that gets its name is replaced in this array. */
  get tags(): readonly Tag[] {
    return this.#tags;
  }

  /** Returns the numbers of the tags that have a name. */
  numbers(): ReadonlyMap<string, TagNumber> {
    return (this.#numberByName ??= new Map([...this.#byName].map(([name, { number }]) => [name, number])));
  }

  /** Implements `BindTag` for one source. */
  bind(source: string, pattern: string, name: string): TagNumber | TagRefusal {
    const known = this.#byName.get(name);
    if (known !== undefined) return known.source === source && known.pattern === pattern ? known.number : 'name-taken';
    if (!isTopicSafeName(name)) return 'name-unfit';
    const number = this.#free.get(key(source, pattern))?.pop();
    const slot = number === undefined ? undefined : this.#tags[number];
    if (slot === undefined) return 'too-many';
    const tag = { ...slot, name };
    this.#tags[slot.number] = tag;
    this.#byName.set(name, tag);
    this.#numberByName = undefined;
    this.#numbers.set(key(source, name), tag.number);
    return tag.number;
  }

  /** Returns the tags that received data created, and whose pattern still exists. */
  #created(patterns: readonly SourcePattern[]): readonly Omit<Tag, 'number'>[] {
    return [...this.#byName.values()].flatMap(({ name, source, pattern }) => {
      const found = patterns.find((each) => each.source === source && each.pattern === pattern);
      if (found === undefined) return [];
      const { template: _template, tagsMax: _tagsMax, ...rules } = found;
      return [{ ...rules, name }];
    });
  }

  #place(tag: Omit<Tag, 'number'>, spare: TagNumber[]): void {
    const known = this.#numbers.get(key(tag.source, tag.name));
    const number = this.#put(tag, known === undefined ? spare : [known]);
    this.#numbers.set(key(tag.source, tag.name), number);
    this.#byName.set(tag.name, { ...tag, number });
  }

  /** Puts a tag in a spare slot, or in a new one. @returns Its number. */
  #put(tag: Omit<Tag, 'number'>, spare: TagNumber[]): TagNumber {
    const number = spare.pop() ?? this.#tags.length;
    this.#tags[number] = { ...tag, number };
    return number;
  }
}

/** Returns a slot without a tag. */
function emptySlot(number: TagNumber): Tag {
  return { name: '', unit: '', range: undefined, deadband: 0, source: '', number };
}

function key(source: string, pattern: string): string {
  return `${source}/${pattern}`;
}

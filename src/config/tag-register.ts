import type { TagRefusal } from '../contracts/source.ts';
import type { Tag, TagNumber } from '../domain/sample/tag.ts';
import { type AgentConfig, isTopicSafeName } from './config-schema.ts';
import { agentTags, tagPatterns } from './config-tags.ts';

/**
 * The agent's tag table: assigns a number to each tag name. Its size is fixed at the start.
 *
 * Each pattern has `tagsMax` slots. A tag that a watch names has a slot from the start, so that the watch can be bound
 * to it. The other slots go to the first names received. A slot never changes its name until the agent stops, so a
 * value cannot appear under another name.
 */
export class TagRegister {
  readonly #tags: Tag[];
  readonly #byName: Map<string, Tag>;
  readonly #free = new Map<string, TagNumber[]>();

  constructor(config: Pick<AgentConfig, 'sources' | 'derived' | 'watches' | 'publish'>) {
    const named = agentTags(config);
    this.#tags = [...named];
    this.#byName = new Map(named.map((tag) => [tag.name, tag]));
    for (const { template: _template, tagsMax, ...rules } of tagPatterns(config)) {
      const { source, pattern } = rules;
      const taken = named.filter((tag) => tag.source === source && tag.pattern === pattern).length;
      const free: TagNumber[] = [];
      for (let slot = taken; slot < tagsMax; slot += 1) {
        free.push(this.#tags.length);
        this.#tags.push({ ...rules, name: '', number: this.#tags.length });
      }
      this.#free.set(key(source, pattern), free.toReversed());
    }
  }

  /** Tags in the order of their numbers. A slot that gets its name is replaced in this array. */
  get tags(): readonly Tag[] {
    return this.#tags;
  }

  /** Returns the numbers of the tags that have a name. */
  numbers(): ReadonlyMap<string, TagNumber> {
    return new Map([...this.#byName].map(([name, { number }]) => [name, number]));
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
    return tag.number;
  }
}

function key(source: string, pattern: string): string {
  return `${source}/${pattern}`;
}

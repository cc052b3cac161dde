import type { Tag, TagPattern } from '../domain/sample/tag.ts';
import { canMakeTag, literalLength, parseTagTemplate } from '../domain/sample/tag-template.ts';
import type { AgentConfig } from './config-schema.ts';
import { sourceKindOf } from './kinds.ts';

/** The sections that say which tags there are, and which of those that a pattern could make are meant. */
type TagSections = Pick<AgentConfig, 'sources'> & Partial<Pick<AgentConfig, 'watches' | 'publish'>>;

export type SourcePattern = TagPattern & { readonly source: string };

/**
 * Every tag that has a name before the start: those of every source, in the order of the configuration, then those
 * that a watch or the publisher names and a pattern can make. Its number is its place.
 */
export function agentTags(config: TagSections): readonly Tag[] {
  const tags: Tag[] = [];
  for (const [source, sourceConfig] of Object.entries(config.sources)) {
    const definitions = sourceKindOf(sourceConfig).tags(sourceConfig);
    for (const tag of definitions) tags.push({ ...tag, source, number: tags.length });
  }
  const known = new Set(tags.map(({ name }) => name));
  const patterns = tagPatterns(config);
  for (const name of namedTags(config)) {
    if (known.has(name)) continue;
    known.add(name);
    const made = patternOf(name, patterns);
    if (made === undefined) continue;
    const { template: _template, tagsMax: _tagsMax, ...rules } = made;
    tags.push({ ...rules, name, number: tags.length });
  }
  return tags;
}

/** The patterns of every source, in the order of the configuration. */
export function tagPatterns({ sources }: Pick<AgentConfig, 'sources'>): readonly SourcePattern[] {
  return Object.entries(sources).flatMap(([source, config]) =>
    (sourceKindOf(config).patterns?.(config) ?? []).map((pattern) => ({ ...pattern, source })),
  );
}

/** Of several patterns that can make the name, the one that gives most of it itself. */
function patternOf(name: string, patterns: readonly SourcePattern[]): SourcePattern | undefined {
  const able = patterns.flatMap((pattern) => {
    const template = parseTagTemplate(pattern.template);
    return template !== undefined && canMakeTag(template, name) ? [{ pattern, letters: literalLength(template) }] : [];
  });
  return able.toSorted((a, b) => b.letters - a.letters)[0]?.pattern;
}

function namedTags({ watches = {}, publish }: TagSections): readonly string[] {
  const watched = Object.values(watches).flatMap(({ tags, alarm }) =>
    alarm?.suppressWhen === undefined ? tags : [...tags, alarm.suppressWhen.tag],
  );
  return Array.isArray(publish?.tags) ? [...watched, ...publish.tags] : watched;
}

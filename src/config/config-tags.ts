import type { Tag, TagPattern } from '../domain/sample/tag.ts';
import { matchesTemplate, literalLength, parseTagTemplate } from '../domain/sample/tag-template.ts';
import { inputsOf } from '../pipeline/derived-tags.ts';
import { tagRules } from '../sources/tag-fields.ts';
import type { AgentConfig } from './config-schema.ts';
import { sourceKindOf } from './kinds.ts';

/** Sections that define the tags, and those that name tags of patterns. */
type TagSections = Pick<AgentConfig, 'sources'> &
  Partial<Pick<AgentConfig, 'derived' | 'watches' | 'limits' | 'publish' | 'sparkplug'>>;

/** Source of the derived tags. */
export const DERIVED = 'derived';

export type SourcePattern = TagPattern & { readonly source: string };

/**
 * Returns every tag whose name is known before the start: the tags of every source in the order of the configuration,
 * the derived tags, then the tags that an expression, a watch or the publisher names and a pattern can create. The number of a tag is its index.
 */
export function agentTags(config: TagSections): readonly Tag[] {
  const tags: Tag[] = [];
  for (const [source, sourceConfig] of Object.entries(config.sources)) {
    const definitions = sourceKindOf(sourceConfig).tags(sourceConfig);
    for (const tag of definitions) tags.push({ ...tag, source, number: tags.length });
  }
  for (const [name, fields] of Object.entries(config.derived ?? {}))
    tags.push({ name, ...tagRules(fields), source: DERIVED, number: tags.length });
  const names = new Set(tags.map(({ name }) => name));
  const patterns = tagPatterns(config);
  for (const name of namedTags(config)) {
    if (names.has(name)) continue;
    names.add(name);
    const pattern = patternOf(name, patterns);
    if (pattern === undefined) continue;
    const { template: _template, tagsMax: _tagsMax, ...rules } = pattern;
    tags.push({ ...rules, name, number: tags.length });
  }
  return tags;
}

/** Returns the names of the waveforms, whose features are tags. */
export function waveformNames({ sources }: Pick<AgentConfig, 'sources'>): ReadonlySet<string> {
  const tags = Object.values(sources).flatMap(
    ({ tags: entries }): readonly (readonly [string, { readonly type?: unknown }])[] => Object.entries(entries),
  );
  return new Set(tags.flatMap(([name, { type }]) => (type === 'waveform' ? [name] : [])));
}

/** Returns the patterns of every source, in the order of the configuration. */
export function tagPatterns({ sources }: Pick<AgentConfig, 'sources'>): readonly SourcePattern[] {
  return Object.entries(sources).flatMap(([source, config]) =>
    (sourceKindOf(config).patterns?.(config) ?? []).map((pattern) => ({ ...pattern, source })),
  );
}

/** Returns the pattern that can create the name. Of several, the one with the most literal characters. */
function patternOf(name: string, patterns: readonly SourcePattern[]): SourcePattern | undefined {
  const matching = patterns.flatMap((pattern) => {
    const template = parseTagTemplate(pattern.template);
    return template !== undefined && matchesTemplate(template, name)
      ? [{ pattern, letters: literalLength(template) }]
      : [];
  });
  return matching.toSorted((a, b) => b.letters - a.letters)[0]?.pattern;
}

/**
 * Returns a test for the tags that the sample history keeps: those of the watches, on which models are trained and which charts
 * show, those that suppress their alarms, and all tags of a source with `history: all`. Derived tags are kept if there is such a source.
 */
export function keptTags({
  sources,
  watches,
}: Pick<AgentConfig, 'sources' | 'watches'>): (tag: Pick<Tag, 'name' | 'source'>) => boolean {
  const watched = new Set(
    Object.values(watches).flatMap(({ tags, alarm }) =>
      alarm?.suppressWhen === undefined ? tags : [...tags, alarm.suppressWhen.tag],
    ),
  );
  const keepsDerived = Object.values(sources).some(({ history }) => history === 'all');
  return ({ name, source }) =>
    watched.has(name) || (source === DERIVED ? keepsDerived : sources[source]?.history === 'all');
}

function namedTags({ derived = {}, watches = {}, limits = {}, publish, sparkplug }: TagSections): readonly string[] {
  const inputs = Object.values(derived).flatMap(({ expr }) => inputsOf(expr));
  const watched = Object.values(watches).flatMap(({ tags, alarm }) =>
    alarm?.suppressWhen === undefined ? tags : [...tags, alarm.suppressWhen.tag],
  );
  const suppressing = Object.values(limits).flatMap(({ suppressWhen }) => suppressWhen?.tag ?? []);
  const published = [publish?.tags, sparkplug?.tags].flatMap((tags) => (Array.isArray(tags) ? tags : []));
  return [...inputs, ...watched, ...suppressing, ...published];
}

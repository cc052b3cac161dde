import { isDeepStrictEqual } from 'node:util';
import { inputsOf } from '../pipeline/derived-tags.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import { agentTags } from '../config/config-tags.ts';
import { type SourceConfig, sourceKindOf } from '../config/kinds.ts';

/** Sections with entries by id, each of which changes alone. */
const entrySections = ['sources', 'derived', 'watches', 'limits', 'uplinks', 'outputs', 'notify'] as const;
/** Sections of one part, which changes alone. */
const partSections = ['alarms', 'publish', 'sparkplug', 'http', 'serving', 'reload', 'log', 'waveforms'] as const;

/** Returns the sections of a configuration whose change restarts all parts. */
export function restartSections(config: AgentConfig): readonly string[] {
  const alone: ReadonlySet<string> = new Set([...entrySections, ...partSections]);
  return Object.keys(config).filter((section) => !alone.has(section));
}

type EntrySection = (typeof entrySections)[number];
type PartSection = (typeof partSections)[number];

/** Ids of a section. Each id of either configuration is in exactly one set. */
type EntryChanges = Readonly<Record<'added' | 'removed' | 'changed' | 'untouched', ReadonlySet<string>>>;

/** Difference between two configurations. */
export type ConfigChanges = Readonly<Record<EntrySection, EntryChanges>> & {
  /** Changed sections of one part. */
  readonly parts: ReadonlySet<PartSection>;
  /** Tags that are new or gone, or whose values mean something else. */
  readonly tags: ReadonlySet<string>;
  /** Changed keys that only a restart of all parts applies, such as `outbox.path`. */
  readonly restart: readonly string[];
};

/**
 * Compares two configurations. Changed watches include those with an unchanged section and a tag in `tags`.
 *
 * A section that is in no list restarts all parts.
 */
export function configChanges(before: AgentConfig, after: AgentConfig): ConfigChanges {
  const tags = changedTags(before, after);
  const usesChangedTag = (id: string): boolean => after.watches[id]?.tags.some((tag) => tags.has(tag)) === true;
  return {
    sources: entryChanges(before.sources, after.sources),
    derived: entryChanges(before.derived, after.derived),
    watches: entryChanges(before.watches, after.watches, usesChangedTag),
    limits: entryChanges(before.limits, after.limits, (tag) => tags.has(tag)),
    uplinks: entryChanges(before.uplinks, after.uplinks),
    outputs: entryChanges(before.outputs, after.outputs),
    notify: entryChanges(before.notify, after.notify),
    parts: new Set(partSections.filter((section) => !isDeepStrictEqual(before[section], after[section]))),
    tags,
    restart: restartKeys(before, after),
  };
}

/** Returns what changed, as keys: `watches.press`, `http`. Empty if nothing did. */
export function changedKeys(changes: ConfigChanges): readonly string[] {
  const entries = entrySections.flatMap((section) => {
    const { added, removed, changed } = changes[section];
    return [...added, ...removed, ...changed].map((id) => `${section}.${id}`);
  });
  return [...changes.restart, ...entries, ...changes.parts];
}

function entryChanges<T>(
  before: Readonly<Record<string, T>>,
  after: Readonly<Record<string, T>>,
  isAffected: (id: string) => boolean = () => false,
): EntryChanges {
  const ids = Object.keys(after);
  const kept = ids.filter((id) => Object.hasOwn(before, id));
  const isChanged = (id: string): boolean => !isDeepStrictEqual(before[id], after[id]) || isAffected(id);
  return {
    added: new Set(ids.filter((id) => !Object.hasOwn(before, id))),
    removed: new Set(Object.keys(before).filter((id) => !Object.hasOwn(after, id))),
    changed: new Set(kept.filter((id) => isChanged(id))),
    untouched: new Set(kept.filter((id) => !isChanged(id))),
  };
}

function restartKeys(before: AgentConfig, after: AgentConfig): readonly string[] {
  const sections = new Set([...restartSections(before), ...restartSections(after)]);
  return [...sections].flatMap((section) => {
    const [old, next] = [entriesOf(before, section), entriesOf(after, section)];
    return [...new Set([...Object.keys(old), ...Object.keys(next)])]
      .filter((key) => !isDeepStrictEqual(old[key], next[key]))
      .map((key) => `${section}.${key.replace(/(?:Ms|Bytes)$/u, '')}`);
  });
}

function entriesOf(config: AgentConfig, section: string): Readonly<Record<string, unknown>> {
  return { ...(config as Readonly<Record<string, object | undefined>>)[section] };
}

function changedTags(before: AgentConfig, after: AgentConfig): ReadonlySet<string> {
  const [old, next] = [tagMeanings(before), tagMeanings(after)];
  const names = new Set([...old.keys(), ...next.keys()]);
  const changed = new Set([...names].filter((name) => !isDeepStrictEqual(old.get(name), next.get(name))));
  // A derived tag changes with its inputs, also those of several levels below.
  for (let size = -1; size < changed.size;) {
    size = changed.size;
    for (const [name, { expr }] of Object.entries(after.derived))
      if (inputsOf(expr).some((input) => changed.has(input))) changed.add(name);
  }
  return changed;
}

/** Returns all that determines the values of each tag: its own definition, and the connection without other tags. */
function tagMeanings(config: AgentConfig): ReadonlyMap<string, unknown> {
  const definitions = new Map<string, unknown>(Object.entries(config.derived));
  const connections = new Map<string, object>();
  for (const [source, sourceConfig] of Object.entries(config.sources)) {
    const { tags, history: _history, ...rest } = sourceConfig;
    const { patterns: _patterns, ...connection } = { patterns: undefined, ...rest };
    connections.set(source, connection);
    for (const [key, definition] of Object.entries(tags))
      for (const name of namesOf(sourceConfig, key)) definitions.set(name, definition);
  }
  const patternsOf = (source: string): Readonly<Record<string, unknown>> => ({
    ...(config.sources[source] as { readonly patterns?: object } | undefined)?.patterns,
  });
  return new Map(
    agentTags(config).map(({ name, source, pattern }) => {
      const definition = pattern === undefined ? definitions.get(name) : patternsOf(source)[pattern];
      return [name, { source, connection: connections.get(source), definition }];
    }),
  );
}

/** Returns the tags that one entry of `tags` defines. */
function namesOf(config: SourceConfig, key: string): readonly string[] {
  const alone = { ...config, tags: { [key]: config.tags[key] } } as SourceConfig;
  return sourceKindOf(alone)
    .tags(alone)
    .map(({ name }) => name);
}

import type { Tag } from '../domain/sample/tag.ts';
import { inputsOf } from '../pipeline/derived-tags.ts';
import { parseTagTemplate, type TagTemplate } from '../domain/sample/tag-template.ts';
import { type ConfigPath, isPlainObject, valueAt } from '../platform/positioned-document.ts';
import type { AgentConfig } from './config-schema.ts';
import { featureTagNames, waveformTags } from '../sources/waveform-fields.ts';
import { agentTags, DERIVED } from './config-tags.ts';
import { type SourceConfig, sourceKindOf } from './kinds.ts';

export type ModbusConfig = Extract<SourceConfig, { type: 'modbus' }>;

/** A problem that concerns several sections. An error prevents the start. */
export type Finding = {
  readonly severity: 'error' | 'warning';
  readonly path: ConfigPath;
  /** Position that is reported: the key or its value. */
  readonly at: 'key' | 'value';
  readonly message: string;
};

/** A tag that the file names, even if the rest of its definition is invalid. */
export type DeclaredTag = { readonly name: string; readonly source: string; readonly path: ConfigPath };

/** Input of the checks: the valid parts of a configuration, and the names that the whole file declares. */
export type CheckContext = {
  readonly config: Partial<AgentConfig>;
  readonly tags: ReadonlyMap<string, Tag>;
  readonly declaredTags: readonly DeclaredTag[];
  readonly declaredNames: ReadonlySet<string>;
  /** Templates of the patterns in the file, even if the rest of a pattern is invalid. */
  readonly declaredTemplates: readonly TagTemplate[];
  /** Scan interval by tag. A tag that is not polled has no entry. */
  readonly scanIntervalMs: ReadonlyMap<string, number>;
  /** Returns a scalar as it is written in the file: `0x10` for 16. */
  readonly textAt: (path: ConfigPath) => string | undefined;
};

/** @param file The whole file as plain data, including its invalid parts. */
export function checkContext(
  config: Partial<AgentConfig>,
  file: unknown,
  textAt: CheckContext['textAt'],
): CheckContext {
  const sources = config.sources ?? {};
  const declared = declaredTags(file);
  const plans = Object.entries(sources).flatMap(([id, source]) => sourceKindOf(source).plan(id, source));
  const tagsByName = new Map(agentTags({ ...config, sources }).map((tag) => [tag.name, tag]));
  return {
    config,
    textAt,
    tags: tagsByName,
    declaredTags: declared,
    // The elements of an array are tags that the file does not list.
    declaredNames: new Set([...declared.map(({ name }) => name), ...tagsByName.keys()]),
    declaredTemplates: declaredTemplates(file),
    scanIntervalMs: withDerived(
      plans.flatMap(({ requests, scanIntervalMs }) =>
        requests.flatMap(({ tags }) => tags.map((tag) => [tag, scanIntervalMs] as const)),
      ),
      config.derived ?? {},
    ),
  };
}

/** Adds the derived tags: their values are as old as the slowest input. */
function withDerived(
  scanned: readonly (readonly [string, number])[],
  derived: NonNullable<CheckContext['config']['derived']>,
): ReadonlyMap<string, number> {
  const intervals = new Map(scanned);
  for (const [name, { expr }] of Object.entries(derived)) {
    const known = inputsOf(expr).flatMap((input) => intervals.get(input) ?? []);
    if (known.length > 0) intervals.set(name, Math.max(...known));
  }
  return intervals;
}

function declaredTags(file: unknown): readonly DeclaredTag[] {
  const ofSources = keysAt(file, ['sources']).flatMap((source) =>
    keysAt(file, ['sources', source, 'tags']).flatMap((name) => declaredBy(file, { name, source })),
  );
  const derived = keysAt(file, ['derived']).map((name) => ({ name, source: DERIVED, path: ['derived', name] }));
  return [...ofSources, ...derived];
}

/** Returns the tags of one entry: itself, or the features of a waveform. */
function declaredBy(file: unknown, tag: Pick<Tag, 'name' | 'source'>): readonly DeclaredTag[] {
  const { source } = tag;
  const path = tagPath(tag);
  if (valueAt(file, [...path, 'type']) !== 'waveform') return [{ ...tag, path }];
  const features = valueAt(file, [...path, 'features']);
  if (!isPlainObject(features)) return waveformTags(tag.name, { unit: '' }).map(({ name }) => ({ name, source, path }));
  return Object.entries(features).flatMap(([id, feature]) =>
    featureTagNames(tag.name, id, feature).map((name) => ({ name, source, path: [...path, 'features', id] })),
  );
}

/** Returns the path of a tag in the file. */
export function tagPath({ name, source }: Pick<Tag, 'name' | 'source'>): ConfigPath {
  return source === DERIVED ? ['derived', name] : ['sources', source, 'tags', name];
}

function declaredTemplates(file: unknown): readonly TagTemplate[] {
  return keysAt(file, ['sources']).flatMap((source) =>
    keysAt(file, ['sources', source, 'patterns']).flatMap((pattern) => {
      const text = valueAt(file, ['sources', source, 'patterns', pattern, 'tag']);
      const template = typeof text === 'string' ? parseTagTemplate(text) : undefined;
      return template === undefined ? [] : [template];
    }),
  );
}

function keysAt(file: unknown, path: ConfigPath): readonly string[] {
  const map = valueAt(file, path);
  return isPlainObject(map) ? Object.keys(map) : [];
}

/** Returns each item whose key an earlier item also has, with the first item of that key. */
export function duplicates<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
): readonly { readonly item: Item; readonly first: Item }[] {
  return [...Map.groupBy(items, keyOf).values()].flatMap(([first, ...others]) =>
    first === undefined ? [] : others.map((item) => ({ item, first })),
  );
}

/** Returns the Modbus sources of a configuration, with their ids. */
export function modbusSources({ config }: CheckContext): readonly (readonly [string, ModbusConfig])[] {
  return Object.entries(config.sources ?? {}).flatMap(([id, source]) =>
    source.type === 'modbus' ? [[id, source] as const] : [],
  );
}

export function error(path: ConfigPath, message: string, at: Finding['at'] = 'value'): Finding {
  return { severity: 'error', path, at, message };
}

export function warning(path: ConfigPath, message: string, at: Finding['at'] = 'value'): Finding {
  return { severity: 'warning', path, at, message };
}

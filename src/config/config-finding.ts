import type { Tag } from '../domain/sample/tag.ts';
import type { TagTemplate } from '../domain/sample/tag-template.ts';
import { parseTagTemplate } from '../domain/sample/tag-template.ts';
import type { ConfigPath } from './config-document.ts';
import { isPlainObject, valueAt } from './config-document.ts';
import type { AgentConfig } from './config-schema.ts';
import { agentTags } from './config-tags.ts';
import { sourceKindOf } from './kinds.ts';

/** Something that no single section can see; `error` keeps the agent from starting. */
export type Finding = {
  readonly severity: 'error' | 'warning';
  readonly path: ConfigPath;
  /** Which of the two is shown in the file. */
  readonly at: 'key' | 'value';
  readonly message: string;
};

/** A tag by its name in the file, whether or not the rest of it is right. */
export type DeclaredTag = { readonly name: string; readonly source: string };

/** What the checks look at: the sound parts of a configuration, and the names that the whole file declares. */
export type CheckContext = {
  readonly config: Partial<AgentConfig>;
  readonly tags: ReadonlyMap<string, Tag>;
  readonly declaredTags: readonly DeclaredTag[];
  readonly declaredNames: ReadonlySet<string>;
  /** Templates of the patterns in the file, whether or not the rest of a pattern is right. */
  readonly declaredTemplates: readonly TagTemplate[];
  /** How often a tag is read; a tag that its source sends by itself has no entry. */
  readonly scanIntervalMs: ReadonlyMap<string, number>;
};

/** @param file The file as plain data, right or wrong. */
export function checkContext(config: Partial<AgentConfig>, file: unknown): CheckContext {
  const sources = config.sources ?? {};
  const declared = declaredTags(file);
  const plans = Object.entries(sources).flatMap(([id, source]) => sourceKindOf(source).plan(id, source));
  const tagsByName = new Map(agentTags({ ...config, sources }).map((tag) => [tag.name, tag]));
  return {
    config,
    tags: tagsByName,
    declaredTags: declared,
    // The elements of an array are tags that the file does not spell out.
    declaredNames: new Set([...declared.map(({ name }) => name), ...tagsByName.keys()]),
    declaredTemplates: declaredTemplates(file),
    scanIntervalMs: new Map(
      plans.flatMap(({ requests, scanIntervalMs }) =>
        requests.flatMap(({ tags }) => tags.map((tag) => [tag, scanIntervalMs] as const)),
      ),
    ),
  };
}

function declaredTags(file: unknown): readonly DeclaredTag[] {
  const sources = valueAt(file, ['sources']);
  return Object.keys(isPlainObject(sources) ? sources : {}).flatMap((source) => {
    const tags = valueAt(file, ['sources', source, 'tags']);
    return Object.keys(isPlainObject(tags) ? tags : {}).map((name) => ({ name, source }));
  });
}

function declaredTemplates(file: unknown): readonly TagTemplate[] {
  const sources = valueAt(file, ['sources']);
  return Object.keys(isPlainObject(sources) ? sources : {}).flatMap((source) => {
    const patterns = valueAt(file, ['sources', source, 'patterns']);
    return Object.keys(isPlainObject(patterns) ? patterns : {}).flatMap((pattern) => {
      const text = valueAt(file, ['sources', source, 'patterns', pattern, 'tag']);
      const template = typeof text === 'string' ? parseTagTemplate(text) : undefined;
      return template === undefined ? [] : [template];
    });
  });
}

export function error(path: ConfigPath, message: string, at: Finding['at'] = 'value'): Finding {
  return { severity: 'error', path, at, message };
}

export function warning(path: ConfigPath, message: string, at: Finding['at'] = 'value'): Finding {
  return { severity: 'warning', path, at, message };
}

import { resolve } from 'node:path';
import { isPlainObject } from './config-document.ts';
import type { AgentConfig } from './config-schema.ts';

/** Keys with the path of a file or folder. In tags and headers, the same words may be names that the user chose. */
const PATH_KEYS = new Set(['directory', 'path', 'ca', 'cert', 'key', 'file']);
const CHOSEN_NAMES = new Set(['tags', 'headers']);

/** Sections with paths; `sources` and `uplinks` have them in their entries. */
const SECTIONS = ['models', 'outbox', 'http', 'serving', 'publish', 'sparkplug'] as const;
const ENTRY_SECTIONS = ['sources', 'uplinks'] as const;

/**
 * Makes each relative path absolute, so that it does not depend on the working directory.
 * @param directory Absolute path of the folder of the configuration file.
 */
export function resolvePaths<C extends Partial<AgentConfig>>(config: C, directory: string): C {
  const changed: Record<string, unknown> = { ...config };
  for (const section of SECTIONS) if (section in changed) changed[section] = absolute(changed[section], directory);
  for (const section of ENTRY_SECTIONS) {
    const entries: unknown = changed[section];
    if (!isPlainObject(entries)) continue;
    changed[section] = Object.fromEntries(
      Object.entries(entries).map(([id, entry]) => [id, absolute(entry, directory)]),
    );
  }
  // Keys and types are unchanged. Only the text of paths differs.
  return changed as C;
}

function absolute(value: unknown, directory: string): unknown {
  if (Array.isArray(value)) return value.map((item) => absolute(item, directory));
  if (!isPlainObject(value)) return value;
  const entries = Object.entries(value).map(([key, item]): readonly [string, unknown] => {
    if (PATH_KEYS.has(key) && typeof item === 'string') return [key, resolve(directory, item)];
    if (key === 'tags') return [key, item];
    return [key, CHOSEN_NAMES.has(key) ? headerSecrets(item, directory) : absolute(item, directory)];
  });
  return Object.fromEntries(entries);
}

/** Resolves the secrets of headers. A header may itself be named `file`. */
function headerSecrets(headers: unknown, directory: string): unknown {
  if (!isPlainObject(headers)) return headers;
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, absolute(value, directory)]));
}

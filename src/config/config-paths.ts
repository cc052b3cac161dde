import { resolve } from 'node:path';
import { isPlainObject } from '../platform/positioned-document.ts';
import type { AgentConfig } from './config-schema.ts';

/** Keys with the path of a file or folder. In tags and headers, the same words may be names that the user chose. */
const PATH_KEYS = new Set(['directory', 'path', 'ca', 'cert', 'key', 'clientCa', 'users', 'file']);

/**
 * Makes each relative path absolute, so that it does not depend on the working directory.
 * @param directory Absolute path of the folder of the configuration file.
 */
export function resolvePaths<C extends Partial<AgentConfig>>(config: C, directory: string): C {
  // Keys and types are unchanged. Only the text of paths differs.
  return absolute(config, directory) as C;
}

function absolute(value: unknown, directory: string, areNamesChosen = false): unknown {
  if (Array.isArray(value)) return value.map((item) => absolute(item, directory));
  if (!isPlainObject(value)) return value;
  const entries = Object.entries(value).map(([key, item]): readonly [string, unknown] => {
    if (key === 'tags') return [key, item];
    const isPath = typeof item === 'string' && PATH_KEYS.has(key) && !areNamesChosen;
    return [key, isPath ? resolve(directory, item) : absolute(item, directory, key === 'headers')];
  });
  return Object.fromEntries(entries);
}

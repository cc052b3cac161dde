import { readFileSync } from 'node:fs';

/** Keys of certificates, whose value may be the path of a PEM file. */
const certificateKeys: ReadonlySet<string> = new Set(['ca', 'cert', 'key']);

/**
 * Returns the content of the secrets (`{ file: PATH }`) and certificates that settings name; undefined for a file that
 * cannot be read.
 */
export function filesIn(settings: unknown): readonly (string | undefined)[] {
  if (typeof settings !== 'object' || settings === null) return [];
  const entries = Object.entries(settings);
  return entries.flatMap(([key, value]) => {
    const isFile = certificateKeys.has(key) || (key === 'file' && entries.length === 1);
    return isFile && typeof value === 'string' ? [contentOf(value)] : filesIn(value);
  });
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

import { readFileSync } from 'node:fs';

/**
 * Returns the content of the secrets (`{ file: PATH }`) that settings name; undefined for a file that cannot be read.
 * Certificates need no restart: they are read again for each connection.
 */
export function secretsIn(settings: unknown): readonly (string | undefined)[] {
  if (typeof settings !== 'object' || settings === null) return [];
  const entries = Object.entries(settings);
  return entries.flatMap(([key, value]) => {
    const isSecret = key === 'file' && entries.length === 1 && typeof value === 'string';
    return isSecret ? [contentOf(value)] : secretsIn(value);
  });
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

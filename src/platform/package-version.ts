import { readFileSync } from 'node:fs';

/** The version in andon's package.json, two folders up from here in a checkout and in dist/ alike. */
export const packageVersion: string = (() => {
  const parsed: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : '';
})();

import { readFileSync } from 'node:fs';

/** Version in andon's package.json, which is two folders up in a checkout and in dist/. */
export const packageVersion: string = (() => {
  const parsed: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : '';
})();

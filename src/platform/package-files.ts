import { readFileSync } from 'node:fs';

/** True in a checkout, which runs the sources. The published package runs its bundle in dist/. */
const isCheckout = import.meta.url.endsWith('.ts');

/** Returns the URL of a file of the package. @param path Path from the root of the package. */
export function packageFile(path: string): URL {
  // Two folders up from src/platform/, and from the folders of dist/ that the bundler puts this code into.
  return new URL(`../../${path}`, import.meta.url);
}

/** Returns the URL of an entry file of a thread or child process in `hosts`. @param name File name without extension. */
export function hostEntry(name: string): URL {
  return packageFile(isCheckout ? `src/hosts/${name}.ts` : `dist/hosts/${name}.js`);
}

/** Version in andon's package.json. */
export const packageVersion: string = (() => {
  const parsed: unknown = JSON.parse(readFileSync(packageFile('package.json'), 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : '';
})();

/**
 * Returns the URL of a child's entry file: `.ts` in a checkout, `.js` in the published package.
 *
 * @param from The caller's `import.meta.url`. Its extension selects between the two.
 * @param path Relative path with the extension `.ts`.
 */
export function entryFile(from: string, path: string): URL {
  return new URL(from.endsWith('.ts') ? path : path.replace(/\.ts$/, '.js'), from);
}

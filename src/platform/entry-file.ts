/**
 * The URL of a child's entry file: `.ts` in a checkout, `.js` in the published package.
 *
 * @param from The caller's `import.meta.url`, whose ending tells which of the two runs.
 * @param path Relative path with the ending `.ts`.
 */
export function entryFile(from: string, path: string): URL {
  return new URL(from.endsWith('.ts') ? path : path.replace(/\.ts$/, '.js'), from);
}

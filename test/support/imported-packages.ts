import { readFileSync } from 'node:fs';

/** Returns packages that a file and its static imports load at run time, sorted; `import type` loads nothing. */
export function importedPackages(entry: URL): readonly string[] {
  return [...packagesOf(entry, new Set())].filter((name) => !name.startsWith('node:')).toSorted();
}

function packagesOf(entry: URL, seen: Set<string>): ReadonlySet<string> {
  if (seen.has(entry.href)) return new Set();
  seen.add(entry.href);
  const packages = new Set<string>();
  for (const [, name = ''] of readFileSync(entry, 'utf8').matchAll(
    /^(?:import|export)(?! type\b)[^;]*?from '([^']+)';$/gm,
  )) {
    if (!name.startsWith('.')) packages.add(name);
    else for (const further of packagesOf(new URL(name, entry), seen)) packages.add(further);
  }
  return packages;
}

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hostEntry } from '../support/onnx-host-harness.ts';

/** Packages that a file and what it imports load at run time; `import type` loads nothing. */
function packagesOf(entry: URL, seen = new Set<string>()): ReadonlySet<string> {
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

test('the inference host, of which there may be several, loads no package that only the agent needs', () => {
  const packages = [...packagesOf(hostEntry)].filter((name) => !name.startsWith('node:'));
  expect(packages.toSorted()).toEqual(['onnx-proto', 'onnxruntime-node']);
});

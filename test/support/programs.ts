import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';

/** Returns the path of a program: on PATH or in Debian's folders for daemons. */
export function programPath(name: string): string | undefined {
  if (name.startsWith('/')) return existsSync(name) ? name : undefined;
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/usr/bin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Name for `describeWith` of a Python that can import the module; a name that is not found if there is none. */
export function pythonWith(module: string, pipPackages: string): string {
  if (programPath('python3') === undefined) return 'python3';
  try {
    // Elsewhere, because Python would take the folder packaging/ of this repository for its module of that name.
    execFileSync('python3', ['-c', `import ${module}`], { stdio: 'ignore', cwd: tmpdir() });
    return 'python3';
  } catch {
    return `python3 with pip's ${pipPackages}`;
  }
}

/** Marks the title of tests that did not run for want of a program; the reporter counts them by name. */
export const missingProgramMark = 'needs, and did not find: ';

/** A group of tests against third-party programs; skipped by name if one is not installed. */
export function describeWith(programs: readonly string[], title: string, tests: () => void): void {
  const missing = programs.filter((name) => programPath(name) === undefined);
  if (missing.length === 0) describe(title, tests);
  else describe.skipIf(true)(`${title} [${missingProgramMark}${missing.join(', ')}]`, tests);
}

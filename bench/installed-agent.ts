import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');

/**
 * Builds the agent into a folder in the form of an installed package: JavaScript in dist/. A checkout strips types at the start of each
 * process.
 *
 * @returns Path of the program.
 */
export function installAgent(folder: string, sources = root): string {
  mkdirSync(folder);
  const output = join(folder, 'dist');
  const run = (...args: readonly string[]) =>
    execFileSync(process.execPath, args, { cwd: sources, stdio: ['ignore', 'ignore', 'inherit'] });
  const bundler = join(sources, 'scripts/build-agent.ts');
  if (existsSync(bundler)) run(bundler, output);
  // Commits before the bundle.
  else run(join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', output, '--noCheck');
  cpSync(join(sources, 'bin'), join(folder, 'bin'), { recursive: true });
  cpSync(join(sources, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return join(folder, 'bin/andon.js');
}

/** Does the same with the sources of a commit, and the libraries of the checkout. @returns Path of the program. */
export function installCommit(commit: string, folder: string): string {
  const sources = `${folder}-sources`;
  mkdirSync(sources);
  const archive = execFileSync('git', ['archive', commit], { cwd: root, maxBuffer: 1e9 });
  execFileSync('tar', ['-x', '-C', sources], { input: archive });
  symlinkSync(join(root, 'node_modules'), join(sources, 'node_modules'));
  return installAgent(folder, sources);
}

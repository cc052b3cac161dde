import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');

/**
 * Builds the agent into a folder in the form of an installed package: JavaScript in dist/. A checkout strips types at the start of each
 * process.
 *
 * @returns Path of the program.
 */
export function installAgent(folder: string): string {
  mkdirSync(folder);
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const output = join(folder, 'dist');
  execFileSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', output, '--noCheck'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  cpSync(join(root, 'bin'), join(folder, 'bin'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return join(folder, 'bin/andon.js');
}

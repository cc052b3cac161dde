import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, onTestFinished } from 'vitest';
import { CompileCache } from '../support/crash-plant.ts';

const root = join(import.meta.dirname, '../..');
const program = join(root, 'bin/andon.js');
export const demoConfig = join(root, 'config/demo.yaml');

const cache = new CompileCache();
afterAll(() => cache[Symbol.dispose]());
const env = { ...process.env, ...cache.env, NO_COLOR: '1' };

export type Outcome = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** A command as its user runs it; it ends with the test at the latest. */
export function startAndon(...args: readonly string[]) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

export async function andon(...args: readonly string[]): Promise<Outcome> {
  return outcomeOf(startAndon(...args));
}

/** A line of bash, which knows the command `andon`. */
export async function shell(line: string): Promise<Outcome> {
  const script = `set -o pipefail; andon() { "${process.execPath}" "${program}" "$@"; }; ${line}`;
  return outcomeOf(spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'], env }));
}

async function outcomeOf(child: ReturnType<typeof startAndon>): Promise<Outcome> {
  const [[code], stdout, stderr] = await Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]);
  return { code: code as number | null, stdout, stderr };
}

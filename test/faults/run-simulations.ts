import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { FaultShim } from './fault-shim.ts';
import type { SimulationResult } from './simulation.ts';

/** Runs the simulations of `count` seeds, from the first on, in a process of their own with a failing disk. */
export async function runSimulations(first: number, count: number): Promise<readonly SimulationResult[]> {
  using shim = new FaultShim('andon-simulated-');
  const program = join(import.meta.dirname, 'simulation-process.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [program, String(first), String(count)], {
    env: { ...process.env, ...shim.env },
    maxBuffer: 1e9,
  });
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as SimulationResult);
}

/** Lines for the failing seeds, each with the command that replays it. */
export function failures(results: readonly SimulationResult[]): readonly string[] {
  return results.flatMap(({ seed, broken }) =>
    broken.length === 0 ? [] : [`npm run campaign -- --only simulation --seeds 1 --seed ${seed}: ${broken[0]}`],
  );
}

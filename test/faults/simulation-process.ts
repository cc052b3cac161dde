import { existsSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { faultBytes, type FaultField, faultPosition } from './fault-shim.ts';
import { Simulation } from './simulation.ts';

/* Runs simulations under the shim: `simulation-process.ts FROM COUNT` prints a JSON line for each seed. */
const [from, count] = process.argv.slice(2).map(Number);
const control = openSync(process.env['FAULT_CTL'] ?? '', 'r+');
const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

for (let seed = from ?? 0; seed < (from ?? 0) + (count ?? 1); seed += 1) {
  const folder = mkdtempSync(join(base, 'andon-simulated-'));
  const setFault = (field: FaultField, value: number): void => {
    writeSync(control, faultBytes(value), 0, 8, faultPosition(field));
  };
  try {
    process.stdout.write(`${JSON.stringify(new Simulation(seed, folder, setFault).run())}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Command } from 'commander';
import { brokenPromises, FaultLab } from '../test/faults/fault-lab.ts';
import { type Figures, faultCases } from '../test/faults/fault-cases.ts';
import { faultRuns } from '../test/faults/fault-runs.ts';
import { NotPermitted } from '../test/faults/failing-file-system.ts';
import { failures, runSimulations } from '../test/faults/run-simulations.ts';
import { cudaWheels } from '../test/gpu/cuda-wheels.ts';
import { opcuaPeers } from '../test/faults/opcua-peers.ts';
import { powerCuts } from '../test/faults/power-cut-case.ts';

/*
 * `npm run campaign`: long faults on the real daemon, with an oracle. Prints a line of figures for each, and ends with 1 if a
 * promise was broken. docs/reliability.md explains the faults.
 */
const SEEDS_PER_PROCESS = 50;

const program = new Command('npm run campaign --')
  .description('Faults of disk, clock, network and process on the real daemon, checked against an oracle of records')
  .option('--only <text>', 'faults whose name contains the text')
  .option('--hold <seconds>', 'how long each fault lasts', Number, 10)
  .option('--kills <n>', 'kills of the daemon', Number, 100)
  .option('--cuts <n>', 'replayed power cuts', Number, 300)
  .option('--seeds <n>', 'simulations', Number, 1000)
  .option('--seed <n>', 'seed of all random choices', Number, Math.floor(Math.random() * 1e9))
  .parse();
type Options = {
  readonly only?: string;
  readonly hold: number;
  readonly kills: number;
  readonly cuts: number;
  readonly seeds: number;
  readonly seed: number;
};
const { only = '', hold, kills, cuts, seeds, seed } = program.opts<Options>();
const isWanted = ({ name }: { readonly name: string }): boolean => name.includes(only);
console.log(`seed ${seed}: npm run campaign -- --seed ${seed}`);

await report('faults of one running daemon', faultCases.filter(isWanted).length, manyFaults);
for (const { name, needsRoot, run } of faultRuns.filter(isWanted)) {
  if (needsRoot && process.getuid?.() !== 0) console.log(`skipped (needs root): ${name}`);
  else await report(name, 1, () => run(seed));
}
await report('kills of the daemon', Number(isWanted({ name: 'kills of the daemon' })), killDaemon);
await report('power cuts', Number(isWanted({ name: 'power cuts' })), cutPower);
await report('simulation', Number(isWanted({ name: 'simulation' })), simulate);
// They download 4 GB.
if (only === 'exporters') {
  await report('exporter of PyTorch', 1, () => exportModels(['torch', 'onnxscript', 'onnx', 'numpy']));
  await report('exporter of Keras', 1, () => exportModels(['tensorflow-cpu', 'tf2onnx', 'onnx']));
}
// It downloads 1.5 GB.
if (only === 'cuda') await report('libraries of CUDA from wheels', 1, cudaWheels);

// Installs node-opcua-server with npm and Eclipse Milo with Maven, and needs Java 17 and asyncua.
if (only === 'opcua') await report('OPC UA servers', 1, opcuaPeers);

/** The faults follow each other on one daemon. The oracle checks all of them at the end. */
async function manyFaults(): Promise<Figures> {
  await using lab = await FaultLab.start({ env: { TZ: 'Europe/Paris' } });
  for (const { name, run } of faultCases.filter(isWanted)) await report(name, 1, () => run(lab, hold * 1000));
  const result = await lab.verify();
  const broken = brokenPromises(result);
  if (broken.length > 0) throw new Error(`${broken.length} broken promises: ${broken.slice(0, 5).join('; ')}`);
  return { stored: result.stored, 'loss records': result.reportedLosses, 'broken promises': 0 };
}

/** The test of `npm test`, with more kills. */
function killDaemon(): Promise<Figures> {
  const env = { ...process.env, ANDON_CRASH_KILLS: String(kills), ANDON_CRASH_SEED: String(seed) };
  execFileSync('npx', ['vitest', 'run', 'test/crash/daemon-killed.test.ts'], { stdio: 'inherit', env });
  return Promise.resolve({ kills });
}

async function cutPower(): Promise<Figures> {
  const { lost, idsGivenAgain, ...figures } = await powerCuts({ recordMs: 20_000, cuts, seed });
  if (lost.length + idsGivenAgain.length > 0) throw new Error([...lost, ...idsGivenAgain].slice(0, 5).join('; '));
  return { ...figures, lost: 0, 'ids given again': 0 };
}

async function simulate(): Promise<Figures> {
  const totals = { seeds: 0, appended: 0, stored: 0, refused: 0, crashes: 0, faults: 0, lost: 0 };
  const failed: string[] = [];
  for (let from = seed; from < seed + seeds; from += SEEDS_PER_PROCESS) {
    const results = await runSimulations(from, Math.min(SEEDS_PER_PROCESS, seed + seeds - from));
    failed.push(...failures(results));
    totals.seeds += results.length;
    for (const key of ['appended', 'stored', 'refused', 'crashes', 'faults', 'lost'] as const)
      totals[key] += results.reduce((sum, result) => sum + result[key], 0);
  }
  if (failed.length > 0) throw new Error(`${failed.length} seeds failed:\n${failed.join('\n')}`);
  return { ...totals, 'broken promises': 0 };
}

/** Runs the recipes of docs/your-own-model.md in a Python environment of their own. */
function exportModels(packages: readonly string[]): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), 'andon-exporters-'));
  try {
    const quiet: ExecFileSyncOptions = { stdio: ['ignore', 'ignore', 'inherit'] };
    const bin = join(folder, 'bin');
    execFileSync('python3', ['-m', 'venv', folder], quiet);
    execFileSync(join(bin, 'pip'), ['install', '-q', '--disable-pip-version-check', ...packages], quiet);
    const env = { ...process.env, PATH: [bin, process.env['PATH'] ?? ''].join(delimiter) };
    execFileSync('npx', ['vitest', 'run', 'test/compat/deep-models.test.ts'], { stdio: 'inherit', env });
    return Promise.resolve({ packages: packages.length });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function report(name: string, count: number, run: () => Promise<Figures>): Promise<void> {
  if (count === 0) return;
  try {
    console.log(`ok      ${name}: ${JSON.stringify(await run())}`);
  } catch (error) {
    if (error instanceof NotPermitted) return console.log(`skipped ${name}: ${error.message}`);
    console.log(`FAILED  ${name}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}

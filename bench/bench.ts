import { cpus, release } from 'node:os';
import { Command } from 'commander';
import { table } from '../src/cli/output/table.ts';
import { BenchSite } from './bench-site.ts';
import { type Figure, goalText, meetsGoal } from './figure.ts';
import { FLEET_ID, fleetFigures } from './fleet-figures.ts';
import { FUZZ_ID, fuzzFigures } from './fuzz-figures.ts';
import { loadFigures } from './load-figures.ts';
import { benchParts, partFigure } from './part-figures.ts';
import { SERVING_ID, servingFigures } from './serving-figures.ts';
import { START_ID, startFigures } from './start-figures.ts';
import { SWAP_ID, swapFigures } from './swap-figures.ts';
import { CLIENTS_ID, clientsFigures } from './clients-figures.ts';
import { loads } from './workload.ts';

/*
 * `npm run bench`: compares the agent with the bare libraries that it uses, in the same run. docs/benchmarks.md explains each
 * figure.
 */

const others = [START_ID, FLEET_ID, FUZZ_ID, SERVING_ID, CLIENTS_ID, SWAP_ID];
const ids = [...loads, ...benchParts].map(({ id }) => id).concat(others);

const program = new Command('npm run bench --')
  .description('Compares the agent with the bare libraries that it uses')
  .option('--json', 'print one JSON document and nothing else on standard output', false)
  .option('--quick', 'one short round of each', false)
  .option('--rounds <n>', 'rounds of each; the medians are shown', Number)
  .option('--compare <commit>', 'the agent of another commit instead of the minimal script, for loads and start')
  .option('--only <ids>', `some of ${ids.join(', ')}, joined by commas`)
  .parse();
const options = program.opts<{ json: boolean; quick: boolean; rounds?: number; compare?: string; only?: string }>();
/** Only these have the other build as their limit. */
const comparable = [...loads.map(({ id }) => id), START_ID];
const only = options.only?.split(',') ?? (options.compare === undefined ? ids : comparable);
const unknown = only.filter((id) => !ids.includes(id));
const alone = options.compare === undefined ? [] : only.filter((id) => !comparable.includes(id));
if (unknown.length > 0) program.error(`error: ${unknown.join(', ')} is not one of ${ids.join(', ')}`, { exitCode: 64 });
if (alone.length > 0)
  program.error(`error: --compare is for ${comparable.join(', ')}, not for ${alone.join(', ')}`, { exitCode: 64 });

const rounds = options.rounds ?? (options.quick ? 1 : 3);
const loadTimes = options.quick
  ? { rounds, warmUpMs: 2000, sideBySideWarmUpMs: 10_000, measureMs: 4000 }
  : { rounds, warmUpMs: 4000, sideBySideWarmUpMs: 60_000, measureMs: 7000 };
const partTimes = { rounds, measureMs: options.quick ? 1500 : 3000 };
const swapCounts = options.quick ? { swaps: 4, crashes: 2 } : { swaps: 12, crashes: 5 };
const fleetTimes = { rounds, measureMs: options.quick ? 3000 : 7000 };

const servingTimes = { pairs: options.quick ? 20 : 40 * rounds };
const clientsTimes = options.quick ? { turns: 2, turnMs: 2000 } : { turns: 2 * rounds, turnMs: 5000 };

const figures: Figure[] = [];
await using site = await BenchSite.start(options.compare);
if (only.includes(START_ID)) figures.push(...(await startFigures(site, rounds, say)));
for (const load of loads.filter(({ id }) => only.includes(id)))
  figures.push(...(await loadFigures(site, load, loadTimes, say)));
for (const part of benchParts.filter(({ id }) => only.includes(id)))
  figures.push(await partFigure(site, part, partTimes, say));
if (only.includes(FLEET_ID)) figures.push(...(await fleetFigures(site, fleetTimes, say)));
if (only.includes(FUZZ_ID)) figures.push(...(await fuzzFigures(options.quick ? 20_000 : 300_000, say)));
if (only.includes(SERVING_ID)) figures.push(...(await servingFigures(site, servingTimes, say)));
if (only.includes(CLIENTS_ID)) figures.push(...(await clientsFigures(site, clientsTimes, say)));
if (only.includes(SWAP_ID)) figures.push(...(await swapFigures(site, swapCounts, say)));

const machine = {
  cores: cpus().length,
  model: cpus()[0]?.model ?? 'unknown',
  kernel: release(),
  node: process.versions.node,
  broker: site.brokerName,
};
if (options.json)
  console.log(
    JSON.stringify({ date: new Date().toISOString(), rounds, machine, figures: figures.map(jsonOf) }, null, 2),
  );
else print();

function print(): void {
  const { cores, model, kernel, node, broker } = machine;
  console.log(`\n${cores} × ${model}, Linux ${kernel}, Node ${node}, ${broker}; medians of ${rounds}\n`);
  const rows = figures.map((figure) => [
    figure.title,
    figure.unit,
    short(figure.agent),
    short(figure.limit),
    comparedText(figure),
    goalText(figure),
    verdictText(figure),
  ]);
  console.log(table(['', 'unit', 'agent', options.compare?.slice(0, 12) ?? 'limit', 'compared', 'goal', ''], rows));
}

function jsonOf(figure: Figure): object {
  return { ...figure, met: meetsGoal(figure) };
}

function comparedText({ compared, goal, unit }: Figure): string {
  if (compared === undefined) return '';
  if (goal?.kind !== 'difference-at-most') return `${compared.toFixed(2)}×`;
  return `${compared < 0 ? '−' : '+'}${short(Math.abs(compared))} ${unit}`;
}

function verdictText(figure: Figure): string {
  const met = meetsGoal(figure);
  return met === undefined ? '' : met ? 'met' : 'not met';
}

function short(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '–';
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

function say(text: string): void {
  console.error(text);
}

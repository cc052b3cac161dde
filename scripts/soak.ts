import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { Command } from 'commander';
import { brokenPromises, FaultLab } from '../test/faults/fault-lab.ts';
import { childPids } from '../test/support/crash-children.ts';

/*
 * `npm run soak -- --minutes N`: the real daemon under a steady load of scans, verdicts, alarms, both uplinks and HTTP requests.
 * Prints the slopes of memory, descriptors and threads of each process. A slope is a leak if it is above its limit by more than
 * two standard errors; then it ends with 1. The first third is warm-up.
 */
const limitsPerHour = { 'RSS MB': 10, descriptors: 2, threads: 1 } as const;
type Measure = keyof typeof limitsPerHour;
const measures = Object.keys(limitsPerHour) as readonly Measure[];
const BYTES_PER_PAGE = 4096;

const program = new Command('npm run soak --')
  .description('Leak slopes of the daemon under load')
  .requiredOption('--minutes <n>', 'duration', Number)
  .parse();
const { minutes } = program.opts<{ minutes: number }>();

type Sample = { readonly hours: number } & Readonly<Record<Measure, number>>;
const samples = new Map<string, Sample[]>();

await using lab = await FaultLab.start({ scanInterval: '100ms' });
const fromMs = performance.now();
const everyMs = Math.min(10_000, (minutes * 60_000) / 60);
while (performance.now() - fromMs < minutes * 60_000) {
  await wait(everyMs);
  await lab.troubles();
  await lab.metric('andon_samples_total');
  if ((performance.now() - fromMs) / 60_000 < minutes / 3) continue;
  const agent = lab.agent.child.pid ?? 0;
  for (const pid of [agent, ...childPids(agent)]) measure(pid === agent ? 'agent' : `child ${pid}`, pid);
}

for (const [name, list] of samples) for (const key of measures) print(name, key, list);
const broken = brokenPromises(await lab.verify());
console.log(broken.length === 0 ? 'Every record arrived.' : broken.slice(0, 5).join('\n'));
if (broken.length > 0) process.exitCode = 1;

function measure(name: string, pid: number): void {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    const sample = {
      hours: (performance.now() - fromMs) / 3_600_000,
      'RSS MB': (pages * BYTES_PER_PAGE) / 1e6,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      threads: readdirSync(`/proc/${pid}/task`).length,
    };
    samples.set(name, [...(samples.get(name) ?? []), sample]);
  } catch {
    // The process ended between the list and the reading.
  }
}

function print(name: string, key: Measure, list: readonly Sample[]): void {
  if (list.length < 5) return;
  const { slope, error } = regression(list.map((sample) => [sample.hours, sample[key]]));
  const limit = limitsPerHour[key];
  const leaks = slope - 2 * error > limit;
  if (leaks) process.exitCode = 1;
  const [first, last] = [list[0]?.[key] ?? 0, list.at(-1)?.[key] ?? 0];
  const text = `${name}: ${key} ${first.toFixed(1)} → ${last.toFixed(1)}, slope ${slope.toFixed(1)} ± ${(2 * error).toFixed(1)} an hour, limit ${limit}`;
  console.log(leaks ? `LEAK    ${text}` : `ok      ${text}`);
}

/** Returns the slope of a line through the points, and its standard error. */
function regression(points: readonly (readonly [number, number])[]): {
  readonly slope: number;
  readonly error: number;
} {
  const count = points.length;
  const [meanX, meanY] = [0, 1].map((axis) => points.reduce((sum, point) => sum + (point[axis] ?? 0), 0) / count);
  const [x0, y0] = [meanX ?? 0, meanY ?? 0];
  const spread = points.reduce((sum, [x]) => sum + (x - x0) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - x0) * (y - y0), 0) / spread;
  const rest = points.reduce((sum, [x, y]) => sum + (y - y0 - slope * (x - x0)) ** 2, 0);
  return { slope, error: Math.sqrt(rest / (count - 2) / spread) };
}

import type { BenchSite } from './bench-site.ts';
import type { Figure, Goal } from './figure.ts';
import type { LoadRound } from './load-round.ts';
import { measureLoad } from './load-round.ts';
import { median } from './statistics.ts';
import type { Subject } from './subject.ts';
import { startAgentSubject, startMinimalSubject } from './subject.ts';
import type { Load, LoadId } from './workload.ts';

export type LoadTimes = { readonly rounds: number; readonly warmUpMs: number; readonly measureMs: number };

type Pair = { readonly agent: LoadRound; readonly limit: LoadRound };

const goals: Readonly<Record<LoadId, Readonly<Record<string, Goal>>>> = {
  w1: {
    cpu: { kind: 'ratio-at-most', value: 2 },
    latencyMsP99: { kind: 'difference-at-most', value: 10 },
    residentBytes: { kind: 'at-most', value: 260 },
  },
  w2: { cpu: { kind: 'ratio-at-most', value: 1.2 } },
  w3: { verdictsPerSecond: { kind: 'ratio-at-least', value: 0.6 } },
};

/** The agent and the minimal script in turn, so that whatever else the machine does meets both alike. */
export async function loadFigures(
  site: BenchSite,
  load: Load,
  times: LoadTimes,
  say: (text: string) => void,
): Promise<readonly Figure[]> {
  const pairs: Pair[] = [];
  for (let round = 1; round <= times.rounds; round += 1) {
    say(`${load.id}: ${load.title}, round ${round} of ${times.rounds}`);
    const agent = await measured(site, await startAgentSubject(site, load), times);
    const limit = await measured(site, await startMinimalSubject(site, load), times);
    pairs.push({ agent, limit });
  }
  const figure = figureMaker(load.id, pairs);
  return [
    figure('cpu', 'CPU, with children', '% of a core', 100),
    ...(load.scanIntervalMs === 0 ? [figure('cpuMsPerVerdict', 'CPU of one scan with its verdict', 'ms')] : []),
    figure('scansPerSecond', 'scans', '1/s'),
    figure('verdictsPerSecond', 'scans whose verdict was heard', '1/s'),
    figure('latencyMsP50', 'register change to message, p50', 'ms'),
    figure('latencyMsP99', 'register change to message, p99', 'ms'),
    figure('residentBytes', 'RSS, with children', 'MB', 1e-6),
    figure('proportionalBytes', 'PSS, with children', 'MB', 1e-6),
  ];
}

async function measured(site: BenchSite, subject: Subject, times: LoadTimes): Promise<LoadRound> {
  await using running = subject;
  return await measureLoad(site, running, times);
}

function figureMaker(id: LoadId, pairs: readonly Pair[]) {
  return (name: keyof LoadRound, title: string, unit: string, scale = 1): Figure => {
    const goal = goals[id][name];
    const compare = goal?.kind === 'difference-at-most' ? difference : ratio;
    return {
      id: `${id}.${name}`,
      title: `${id.toUpperCase()} ${title}`,
      unit,
      agent: median(pairs.map(({ agent }) => agent[name] * scale)),
      limit: median(pairs.map(({ limit }) => limit[name] * scale)),
      compared: median(pairs.map(({ agent, limit }) => compare(agent[name], limit[name]))),
      goal,
    };
  };
}

function ratio(agent: number, limit: number): number {
  return agent / limit;
}

function difference(agent: number, limit: number): number {
  return agent - limit;
}

import { invariant } from '../src/platform/errors.ts';
import type { BenchSite } from './bench-site.ts';
import type { Figure, Goal } from './figure.ts';
import { type LoadRound, measureRound, warmUp } from './load-round.ts';
import { median } from './statistics.ts';
import { startAgent, startLimit } from './subject.ts';
import type { Load, LoadId } from './workload.ts';

export type LoadTimes = {
  readonly rounds: number;
  /** Rounds of each process, or of both if they run at the same time. */
  readonly warmUpMs: number;
  readonly sideBySideWarmUpMs: number;
  readonly measureMs: number;
};

type Pair = { readonly agent: LoadRound; readonly limit: LoadRound };

const goals: Readonly<Record<LoadId, Readonly<Record<string, Goal>>>> = {
  w1: {
    cpu: { kind: 'ratio-at-most', value: 2 },
    latencyMsP99: { kind: 'difference-at-most', value: 10 },
    residentBytes: { kind: 'at-most', value: 260 },
  },
  w2: { cpu: { kind: 'ratio-at-most', value: 1.2 } },
  'w2-8': { cpu: { kind: 'ratio-at-most', value: 1.2 } },
  'w3-8': { verdictsPerSecond: { kind: 'ratio-at-least', value: 2 } },
  w3: { verdictsPerSecond: { kind: 'ratio-at-least', value: 0.6 } },
};

/** Figures of a load for the agent and for the minimal script. */
export async function loadFigures(
  site: BenchSite,
  load: Load,
  times: LoadTimes,
  say: (text: string) => void,
): Promise<readonly Figure[]> {
  say(`${load.id}: ${load.title}, ${times.rounds} ${times.rounds === 1 ? 'round' : 'rounds'}`);
  const pairs = load.sideBySide ? await sideBySide(site, load, times) : await inTurn(site, load, times);
  // The goals are for the minimal script as limit.
  const figure = figureMaker(load.id, pairs, site.baseProgram === undefined ? goals[load.id] : {});
  return [
    figure('cpu', 'CPU, with children', '% of a core', 100),
    ...(load.scanIntervalMs === 0 ? [figure('cpuMsPerVerdict', 'CPU of one scan with its verdict', 'ms')] : []),
    figure('scansPerSecond', 'scans', '1/s'),
    figure('verdictsPerSecond', 'scans whose verdict was received', '1/s'),
    figure('latencyMsP50', 'register change to message, p50', 'ms'),
    figure('latencyMsP99', 'register change to message, p99', 'ms'),
    figure('residentBytes', 'RSS, with children', 'MB', 1e-6),
    figure('proportionalBytes', 'PSS, with children', 'MB', 1e-6),
  ];
}

async function sideBySide(site: BenchSite, load: Load, times: LoadTimes): Promise<readonly Pair[]> {
  await using agent = startAgent(site, load);
  await using limit = startLimit(site, load);
  await warmUp(site, [agent, limit], times.sideBySideWarmUpMs);
  const pairs: Pair[] = [];
  for (let round = 0; round < times.rounds; round += 1)
    pairs.push(pairOf(await measureRound(site, [agent, limit], times.measureMs)));
  return pairs;
}

/** Runs both one after the other in each round, so that other load of the machine affects both about equally. */
async function inTurn(site: BenchSite, load: Load, times: LoadTimes): Promise<readonly Pair[]> {
  const pairs: Pair[] = [];
  for (let round = 0; round < times.rounds; round += 1) {
    const rounds: LoadRound[] = [];
    for (const start of [startAgent, startLimit]) {
      await using subject = start(site, load);
      await warmUp(site, [subject], times.warmUpMs);
      rounds.push(...(await measureRound(site, [subject], times.measureMs)));
    }
    pairs.push(pairOf(rounds));
  }
  return pairs;
}

function pairOf([agent, limit]: readonly LoadRound[]): Pair {
  invariant(agent !== undefined && limit !== undefined, 'a round has the agent and the script in it');
  return { agent, limit };
}

function figureMaker(id: LoadId, pairs: readonly Pair[], loadGoals: Readonly<Record<string, Goal>>) {
  return (name: keyof LoadRound, title: string, unit: string, scale = 1): Figure => {
    const goal = loadGoals[name];
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

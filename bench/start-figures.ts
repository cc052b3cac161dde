import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchSite } from './bench-site.ts';
import type { Figure, Goal } from './figure.ts';
import { processTreeFigures } from './process-figures.ts';
import { median } from './statistics.ts';
import { startAgent, startLimit, type Subject } from './subject.ts';
import { loads, machineMs } from './workload.ts';

export const START_ID = 'start';

/** V8 collects the garbage of the start in this time. */
const SETTLE_MS = 3000;
const FIRST_VERDICT_MS_MAX = 60_000;

type Start = { readonly firstVerdictMs: number; readonly cpuMs: number; readonly proportionalBytes: number };

const goals: Readonly<Partial<Record<keyof Start, Goal>>> = { firstVerdictMs: { kind: 'at-most', value: 1200 } };

/** Figures of a start with the load W1: from the start of the process to the receipt of the first verdict. */
export async function startFigures(
  site: BenchSite,
  rounds: number,
  say: (text: string) => void,
): Promise<readonly Figure[]> {
  say(`${START_ID}: start to the first verdict of W1, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}`);
  const pairs: { readonly agent: Start; readonly limit: Start }[] = [];
  for (let round = 0; round < rounds; round += 1)
    pairs.push({ agent: await measureStart(site, startAgent), limit: await measureStart(site, startLimit) });
  const figure = (name: keyof Start, title: string, unit: string, scale = 1): Figure => ({
    id: `${START_ID}.${name}`,
    title: `start ${title}`,
    unit,
    agent: median(pairs.map(({ agent }) => agent[name] * scale)),
    limit: median(pairs.map(({ limit }) => limit[name] * scale)),
    compared: median(pairs.map(({ agent, limit }) => agent[name] / limit[name])),
    goal: site.baseProgram === undefined ? goals[name] : undefined,
  });
  return [
    figure('firstVerdictMs', 'to first verdict', 'ms'),
    figure('cpuMs', 'CPU to first verdict, with children', 'ms'),
    figure('proportionalBytes', `PSS ${SETTLE_MS / 1000} s later, with children`, 'MB', 1e-6),
  ];
}

async function measureStart(site: BenchSite, start: typeof startAgent): Promise<Start> {
  const [w1] = loads;
  if (w1 === undefined) throw new Error('The load W1 is missing');
  await site.subscriber.call('takeMessages', undefined);
  const startedMs = machineMs();
  await using subject = start(site, w1);
  const firstMs = await firstVerdictMs(site, subject, startedMs + FIRST_VERDICT_MS_MAX);
  const { cpuMs } = processTreeFigures(subject.pid);
  await sleep(SETTLE_MS);
  return {
    firstVerdictMs: firstMs - startedMs,
    cpuMs,
    proportionalBytes: processTreeFigures(subject.pid).proportionalBytes,
  };
}

async function firstVerdictMs(site: BenchSite, subject: Subject, giveUpMs: number): Promise<number> {
  while (machineMs() < giveUpMs) {
    const { units, timesMs } = await site.subscriber.call('takeMessages', undefined);
    const first = timesMs[units.findIndex((unitId) => subject.reads(unitId))];
    if (first !== undefined) return first;
    await sleep(20);
  }
  throw new Error(`No verdict within ${FIRST_VERDICT_MS_MAX} ms`);
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchSite } from './bench-site.ts';
import type { Changes } from './device.ts';
import { processTreeFigures } from './process-figures.ts';
import { percentile } from './statistics.ts';
import type { Subject } from './subject.ts';
import type { Messages } from './subscriber.ts';
import { machineMs } from './workload.ts';

/** Longest wait for the first verdict, from the start of the process on. */
const FIRST_VERDICT_MS_MAX = 60_000;
/** A change in the last moments may be on its way; it is counted where its message comes within this. */
const SETTLE_MS = 500;

/** What one subject did in one round. */
export type LoadRound = {
  /** Share of one core. */
  readonly cpu: number;
  readonly cpuMsPerVerdict: number;
  readonly residentBytes: number;
  readonly proportionalBytes: number;
  readonly scansPerSecond: number;
  /** Scans whose verdict reached the subscriber. */
  readonly verdictsPerSecond: number;
  /** From the device's answer, with a state of the plant, to the subscriber's message about it. */
  readonly latencyMsP50: number;
  readonly latencyMsP99: number;
};

/** Measures a subject once it has warmed up. */
export async function measureLoad(
  site: BenchSite,
  subject: Subject,
  times: { readonly warmUpMs: number; readonly measureMs: number },
): Promise<LoadRound> {
  await firstVerdict(site);
  await sleep(times.warmUpMs);
  await site.device.call('takeChanges', undefined);
  await site.subscriber.call('takeMessages', undefined);
  const before = processTreeFigures(subject.pid);
  const fromMs = machineMs();
  await sleep(times.measureMs);
  const after = processTreeFigures(subject.pid);
  const toMs = machineMs();
  await sleep(SETTLE_MS);
  const changes = await site.device.call('takeChanges', undefined);
  const messages = await site.subscriber.call('takeMessages', undefined);
  const { scans, latenciesMs } = joinChanges(changes, messages, fromMs, toMs);
  const seconds = (toMs - fromMs) / 1000;
  const cpuMs = after.cpuMs - before.cpuMs;
  return {
    cpu: cpuMs / (toMs - fromMs),
    cpuMsPerVerdict: cpuMs / latenciesMs.length,
    residentBytes: after.residentBytes,
    proportionalBytes: after.proportionalBytes,
    scansPerSecond: scans / seconds,
    verdictsPerSecond: latenciesMs.length / seconds,
    latencyMsP50: percentile(latenciesMs, 0.5),
    latencyMsP99: percentile(latenciesMs, 0.99),
  };
}

async function firstVerdict(site: BenchSite): Promise<void> {
  const giveUpMs = machineMs() + FIRST_VERDICT_MS_MAX;
  for (;;) {
    const { counters } = await site.subscriber.call('takeMessages', undefined);
    if (counters.length > 0) return;
    if (machineMs() > giveUpMs) throw new Error(`No verdict within ${FIRST_VERDICT_MS_MAX} ms`);
    await sleep(50);
  }
}

/** Changes in [fromMs, toMs], and how long those took whose message came. */
function joinChanges(changes: Changes, messages: Messages, fromMs: number, toMs: number) {
  const arrivals = new Map<string, number>();
  for (const [index, counter] of messages.counters.entries())
    arrivals.set(`${messages.units[index]}/${counter}`, messages.timesMs[index] ?? Number.NaN);
  let scans = 0;
  const latenciesMs: number[] = [];
  for (const [index, timeMs] of changes.timesMs.entries()) {
    if (timeMs < fromMs || timeMs > toMs) continue;
    scans += 1;
    const arrivalMs = arrivals.get(`${changes.units[index]}/${changes.counters[index]}`);
    if (arrivalMs !== undefined) latenciesMs.push(arrivalMs - timeMs);
  }
  return { scans, latenciesMs: latenciesMs.sort((a, b) => a - b) };
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchSite } from './bench-site.ts';
import type { Changes } from './device.ts';
import { processTreeFigures } from './process-figures.ts';
import { percentile } from './statistics.ts';
import type { Subject } from './subject.ts';
import type { Messages } from './subscriber.ts';
import { machineMs } from './workload.ts';

/** Longest wait for the first verdict, from the start of the process. */
const FIRST_VERDICT_MS_MAX = 60_000;
/** A change at the end of the round counts if its message arrives within this time. */
export const SETTLE_MS = 500;

/** Results of one subject in one round. */
export type LoadRound = {
  /** Share of one core. */
  readonly cpu: number;
  readonly cpuMsPerVerdict: number;
  readonly residentBytes: number;
  readonly proportionalBytes: number;
  readonly scansPerSecond: number;
  /** Scans whose verdict reached the subscriber. */
  readonly verdictsPerSecond: number;
  /** Time from the response of the device with a state of the plant to the subscriber's message about it. */
  readonly latencyMsP50: number;
  readonly latencyMsP99: number;
};

/** Measures all subjects over the same time. @returns One round for each subject, in their order. */
export async function measureRound(
  site: BenchSite,
  subjects: readonly Subject[],
  measureMs: number,
): Promise<readonly LoadRound[]> {
  await site.device.call('takeChanges', undefined);
  await site.subscriber.call('takeMessages', undefined);
  const before = subjects.map(({ pid }) => processTreeFigures(pid));
  const fromMs = machineMs();
  await sleep(measureMs);
  const after = subjects.map(({ pid }) => processTreeFigures(pid));
  const toMs = machineMs();
  await sleep(SETTLE_MS);
  const changes = await site.device.call('takeChanges', undefined);
  const messages = await site.subscriber.call('takeMessages', undefined);
  const seconds = (toMs - fromMs) / 1000;
  return subjects.map((subject, index) => {
    const { scans, latenciesMs } = joinChanges(subject, changes, messages, fromMs, toMs);
    const cpuMs = (after[index]?.cpuMs ?? Number.NaN) - (before[index]?.cpuMs ?? Number.NaN);
    return {
      cpu: cpuMs / (toMs - fromMs),
      cpuMsPerVerdict: cpuMs / latenciesMs.length,
      residentBytes: after[index]?.residentBytes ?? Number.NaN,
      proportionalBytes: after[index]?.proportionalBytes ?? Number.NaN,
      scansPerSecond: scans / seconds,
      verdictsPerSecond: latenciesMs.length / seconds,
      latencyMsP50: percentile(latenciesMs, 0.5),
      latencyMsP99: percentile(latenciesMs, 0.99),
    };
  });
}

/** Waits until a verdict of each subject was received, and then for the warm-up. */
export async function warmUp(site: BenchSite, subjects: readonly Subject[], warmUpMs: number): Promise<void> {
  const giveUpMs = machineMs() + FIRST_VERDICT_MS_MAX;
  const silent = new Set(subjects);
  while (silent.size > 0) {
    if (machineMs() > giveUpMs) throw new Error(`No verdict within ${FIRST_VERDICT_MS_MAX} ms`);
    await sleep(50);
    const { units } = await site.subscriber.call('takeMessages', undefined);
    if (!subjects.every(({ running }) => running()))
      throw new Error('The agent or the script ended during the measurement');
    for (const subject of silent) if (units.some((unitId) => subject.reads(unitId))) silent.delete(subject);
  }
  await sleep(warmUpMs);
}

/** Returns the subject's changes in [fromMs, toMs], and the latency of those with a message. */
export function joinChanges(
  subject: Pick<Subject, 'reads'>,
  changes: Changes,
  messages: Messages,
  fromMs: number,
  toMs: number,
) {
  const arrivals = new Map<string, number>();
  for (const [index, counter] of messages.counters.entries())
    arrivals.set(`${messages.units[index]}/${counter}`, messages.timesMs[index] ?? Number.NaN);
  let scans = 0;
  const latenciesMs: number[] = [];
  for (const [index, timeMs] of changes.timesMs.entries()) {
    const unitId = changes.units[index] ?? 0;
    if (timeMs < fromMs || timeMs > toMs || !subject.reads(unitId)) continue;
    scans += 1;
    const arrivalMs = arrivals.get(`${unitId}/${changes.counters[index]}`);
    if (arrivalMs !== undefined) latenciesMs.push(arrivalMs - timeMs);
  }
  return { scans, latenciesMs: latenciesMs.sort((a, b) => a - b) };
}

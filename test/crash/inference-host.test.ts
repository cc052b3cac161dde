import { describe, expect, test } from 'vitest';
import { inferenceHostPid } from '../support/crash-children.ts';
import { CrashPlant } from '../support/crash-plant.ts';
import { outboxRecords } from '../support/crash-receipts.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

/*
 * The inference host of a running daemon is killed, stopped for good, or aborted, while a PLC is scanned every 500 ms and
 * a window is judged every 50 ms.
 *
 * Invariant: if the host crashes or hangs, no scan is missed. Each hop has exactly one verdict; verdicts that the host
 * could not judge are `unknown` and say why; and the host is restarted automatically.
 */
const SCAN_MS = 500;
const HOP_MS = 50;

const fates = [
  { signal: 'SIGKILL', title: 'killed', reason: /inference host ended \(.*SIGKILL/ },
  { signal: 'SIGABRT', title: 'aborted by its runtime', reason: /inference host ended \(.*SIGABRT/ },
  {
    signal: 'SIGSTOP',
    title: 'hung',
    reason: /did not finish 'run' within 500 ms|inference host ended \((timeout|hang)/,
  },
] as const;

describe('the inference host', () => {
  test.each(fates)('$title: no scan is missed, no hop without a verdict', async ({ signal, reason }) => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    const { sources, models } = plant.sections(`${SCAN_MS}ms`);
    const watch = { model: 'echo', tags: ['level'], window: { step: `${HOP_MS}ms`, maxAge: '10s' } };
    folder.configure({ sources, models: { ...models, deadline: '500ms' }, watches: { level: watch } });
    await using agent = await AgentProcess.start(folder.configFile);
    await expect.poll(() => normalVerdicts(agent)).toBeGreaterThan(10);
    const victim = inferenceHostPid(agent.child.pid ?? 0) ?? 0;
    const startedMs = performance.now();
    const requestsBefore = plant.plc.requests.length;
    const missedBefore = await missedScans(agent);

    process.kill(victim, signal);

    await expect.poll(() => newHost(agent, victim)).toBeDefined();
    const judgedBefore = await normalVerdicts(agent);
    await expect.poll(() => normalVerdicts(agent)).toBeGreaterThan(judgedBefore + 10);
    const due = (performance.now() - startedMs) / SCAN_MS;
    expect(Math.abs(plant.plc.requests.length - requestsBefore - due)).toBeLessThan(3);
    expect(await missedScans(agent)).toBe(missedBefore);
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(agent.stderr).toBe('');

    const verdicts = (await outboxRecords(folder)).filter(({ kind }) => kind === 'verdict').slice(1);
    const hops = verdicts.map(({ timestamp_ms }) => Math.round(timestamp_ms / HOP_MS));
    expect(hops).toEqual(hops.map((_, index) => (hops[0] ?? 0) + index));
    const unknown = verdicts.filter(({ verdict }) => verdict === 'unknown');
    expect(unknown.length).toBeGreaterThan(0);
    expect(unknown.filter((verdict) => verdict['reason'] === '')).toEqual([]);
    expect(unknown.some((verdict) => reason.test(String(verdict['reason'])))).toBe(true);
    expect([verdicts[0]?.['verdict'], verdicts.at(-1)?.['verdict']]).toEqual(['normal', 'normal']);
  });
});

function newHost(agent: AgentProcess, before: number): number | undefined {
  const pid = inferenceHostPid(agent.child.pid ?? 0);
  return pid === before ? undefined : pid;
}

function normalVerdicts(agent: AgentProcess): Promise<number> {
  return metric(agent, 'andon_verdicts_total{watch="level",verdict="normal"}');
}

function missedScans(agent: AgentProcess): Promise<number> {
  return metric(agent, 'andon_modbus_missed_scans_total{source="plc"}');
}

/** Value of one sample of the agent's metrics; 0 if absent. */
async function metric(agent: AgentProcess, sample: string): Promise<number> {
  const text = await (await fetch(`${agent.httpUrl}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${sample} `));
  return line === undefined ? 0 : Number(line.slice(sample.length + 1));
}

import { describe, expect, test } from 'vitest';
import { andon } from '../cli/run-andon.ts';
import { AgentProcess } from '../support/start-agent.ts';
import { loadPace } from '../support/load-pace.ts';
import { candidates, RolloutPlant } from '../support/rollout-plant.ts';

/*
 * Two versions on the same windows, in the daemon as its user runs it, with real processes that crash, hang and give
 * NaN. Invariant: for any fault of the candidate, every window of every watch has one verdict in its turn, known as
 * long as the incumbent knows it, and what was found bad decides no more: not after a restart, not after a reload,
 * until a user activates it.
 */
type Verdict = {
  readonly timestamp_ms: number;
  readonly verdict: string;
  readonly version: number;
  readonly reason: string;
  readonly tags: Readonly<Record<string, number>>;
};
type Comparison = {
  readonly rollouts: readonly {
    readonly windows: number;
    readonly kind: string;
    readonly candidate: number;
    readonly failures: { readonly candidate: Record<string, number> };
    readonly stopped: { readonly cause: string } | null;
  }[];
  readonly obstacles: readonly { readonly reason: string }[];
};

const rollback = { minWindows: 20, alarmFloor: 2 };

async function ask<T>(agent: AgentProcess, path: string): Promise<T> {
  return (await (await fetch(`${urlOf(agent)}${path}`)).json()) as T;
}

/** The port changes with each reload. */
function urlOf(agent: AgentProcess): string {
  return String(agent.log.findLast(({ msg }) => msg === 'Started.')?.['http']);
}

/** Verdicts on windows, without the ones of a filling window or a loading model. */
async function verdictsOf(agent: AgentProcess, watch: string): Promise<readonly Verdict[]> {
  const { verdicts } = await ask<{ readonly verdicts: readonly Verdict[] }>(agent, `/api/v1/watches/${watch}/history`);
  return verdicts.filter(({ reason }) => !/filling|is not ready: loading/.test(reason));
}

const compare = (agent: AgentProcess) => ask<Comparison>(agent, '/api/v1/models/echo/compare');

async function lastVersion(agent: AgentProcess, watch = 'tried'): Promise<number | undefined> {
  return (await verdictsOf(agent, watch)).at(-1)?.version;
}

/** One verdict for each window, all of them known. */
async function expectNothingLost({ hopMs }: RolloutPlant, agent: AgentProcess, watch: string): Promise<void> {
  await expect.poll(async () => (await verdictsOf(agent, watch)).length).toBeGreaterThan(10);
  const verdicts = await verdictsOf(agent, watch);
  const first = verdicts[0]?.timestamp_ms ?? 0;
  expect(verdicts.map(({ timestamp_ms }) => timestamp_ms)).toEqual(verdicts.map((_, index) => first + index * hopMs));
  expect(verdicts.filter(({ verdict }) => verdict === 'unknown')).toEqual([]);
}

async function judged(agent: AgentProcess, count: number): Promise<void> {
  await expect.poll(async () => (await compare(agent)).rollouts[0]?.windows ?? 0).toBeGreaterThan(count);
}

describe('a version that is made active in a running agent', () => {
  test('and alarms too much is rolled back, and stays away until it is activated again', async () => {
    await using rollout = await RolloutPlant.start();
    rollout.configure({}, { rollback });
    await using agent = await AgentProcess.start(rollout.folder.configFile);
    await expect.poll(() => lastVersion(agent)).toBe(1);
    rollout.addVersion(2, candidates.nervous);

    expect(await andon('models', 'activate', 'echo@2', '-c', rollout.folder.configFile)).toMatchObject({ code: 0 });

    await expect.poll(() => rollout.active).toBe(1);
    expect(rollout.rejected).toEqual([2]);
    await agent.logged(({ msg }) => msg.startsWith('Rolled back: it found'));
    await expect.poll(() => lastVersion(agent)).toBe(1);
    const verdicts = await verdictsOf(agent, 'tried');
    const versions = verdicts.map(({ version }) => version);
    // It decided for a while, and from the moment it was stopped on not once more.
    expect(versions.filter((version, index) => version !== versions[index - 1])).toEqual([1, 2, 1]);
    await expectNothingLost(rollout, agent, 'tried');
    await expectNothingLost(rollout, agent, 'other');
    expect(await agent.end('SIGTERM')).toBe(0);

    await using again = await AgentProcess.start(rollout.folder.configFile);
    await expect.poll(() => lastVersion(again)).toBe(1);
    expect(rollout.active).toBe(1);
    expect(await andon('models', 'activate', 'echo@2', '-c', rollout.folder.configFile)).toMatchObject({ code: 0 });
    expect(rollout.rejected).toEqual([]);
    expect(await again.end('SIGTERM')).toBe(0);
  });

  test('is rolled back before it decides anything, after a power failure in the middle of a rollback', async () => {
    await using rollout = await RolloutPlant.start();
    rollout.addVersion(2, candidates.nervous);
    rollout.configure({});
    expect(await andon('models', 'activate', 'echo@2', '-c', rollout.folder.configFile)).toMatchObject({ code: 0 });
    rollout.reject(2);
    await using agent = await AgentProcess.start(rollout.folder.configFile);
    await expect.poll(() => lastVersion(agent)).toBe(1);
    expect(rollout.active).toBe(1);
    expect((await verdictsOf(agent, 'tried')).map(({ version }) => version)).not.toContain(2);
    expect(await agent.end('SIGTERM')).toBe(0);
  });
});

describe('a canary', () => {
  test('that gives NaN is stopped; no window is lost, and no other watch notices', async () => {
    await using rollout = await RolloutPlant.start();
    rollout.addVersion(2, candidates.root);
    rollout.configure({ canary: 'echo@2' }, { rollback });
    await using agent = await AgentProcess.start(rollout.folder.configFile);
    await expect.poll(() => lastVersion(agent)).toBe(2);
    rollout.setLevel(-1);
    await expect.poll(() => rollout.rejected).toEqual([2]);
    rollout.setLevel(0);
    await agent.logged(({ component, level }) => component === 'rollout/tried' && level === 40);
    await expectNothingLost(rollout, agent, 'tried');
    await expectNothingLost(rollout, agent, 'other');
    expect(await lastVersion(agent)).toBe(1);
    expect((await compare(agent)).rollouts).toMatchObject([{ stopped: { cause: 'invalid-output' } }]);
    expect(await agent.end('SIGTERM')).toBe(0);

    await using again = await AgentProcess.start(rollout.folder.configFile);
    await expect.poll(() => lastVersion(again)).toBe(1);
    expect((await compare(again)).obstacles).toMatchObject([{ reason: expect.stringContaining('does not run') }]);
    expect((await verdictsOf(again, 'tried')).at(-1)).toMatchObject({ version: 1, verdict: 'normal' });
    expect(await again.end('SIGTERM')).toBe(0);
  });

  test('whose process is killed in a run is stopped; no window is lost, and no other watch notices', async () => {
    await using rollout = await RolloutPlant.start();
    rollout.addVersion(2, candidates.slow);
    rollout.configure(
      { canary: 'echo@2' },
      { rollback: { ...rollback, deadlineMisses: 100 }, limits: { echo: { deadline: `${10 * loadPace}s` } } },
    );
    await using agent = await AgentProcess.start(rollout.folder.configFile);
    const host = await agent.logged(
      ({ host: name, msg }) => name === 'rollout-echo@2' && msg === 'Inference host started.',
    );
    await expect.poll(() => lastVersion(agent)).toBe(2);
    rollout.setLevel(30_000);
    // From the first window with this level on it counts to 600 million.
    const counting = async () =>
      (await verdictsOf(agent, 'other')).filter(({ tags }) => tags['level'] === 600e6).length;
    await expect.poll(counting).toBeGreaterThan(1);
    await expect.poll(async () => (await compare(agent)).rollouts[0]?.windows).toBeGreaterThan(0);
    process.kill(Number(host['pid']), 'SIGKILL');
    await expect.poll(() => rollout.rejected).toEqual([2]);
    expect((await compare(agent)).rollouts).toMatchObject([{ stopped: { cause: 'crash' } }]);
    await expect.poll(() => lastVersion(agent)).toBe(1);
    await expectNothingLost(rollout, agent, 'tried');
    await expectNothingLost(rollout, agent, 'other');
    expect(await agent.end('SIGTERM')).toBe(0);
  });

  test('that is too slow is waited for no longer than its deadline, and is stopped', async () => {
    await using rollout = await RolloutPlant.start();
    rollout.addVersion(2, candidates.slow);
    rollout.configure({ canary: 'echo@2' }, { rollback, limits: { echo: { deadline: `${300 * loadPace}ms` } } });
    await using agent = await AgentProcess.start(rollout.folder.configFile);
    await expect.poll(() => lastVersion(agent)).toBe(2);
    rollout.setLevel(30_000);
    await expect.poll(() => rollout.rejected).toEqual([2]);
    expect((await compare(agent)).rollouts).toMatchObject([{ stopped: { cause: 'deadline' } }]);
    await expect.poll(() => lastVersion(agent)).toBe(1);
    await expectNothingLost(rollout, agent, 'tried');
    await expectNothingLost(rollout, agent, 'other');
    expect(await agent.end('SIGTERM')).toBe(0);
  });
});

describe('a shadow', () => {
  test('that hangs in every run moves no verdict of any watch', async () => {
    await using rollout = await RolloutPlant.start();
    rollout.addVersion(2, candidates.slow);
    rollout.configure(
      { shadow: 'echo@2' },
      { rollback: { ...rollback, deadlineMisses: 100 }, limits: { echo: { deadline: `${500 * loadPace}ms` } } },
    );
    await using agent = await AgentProcess.start(rollout.folder.configFile);
    await judged(agent, 5);
    rollout.setLevel(30_000);
    const failed = async () => (await compare(agent)).rollouts[0]?.failures.candidate ?? {};
    await expect.poll(async () => (await failed())['deadline'] ?? 0).toBeGreaterThan(2);
    expect((await failed())['skipped']).toBeGreaterThan(10);
    await expectNothingLost(rollout, agent, 'tried');
    await expectNothingLost(rollout, agent, 'other');
    const versions = new Set((await verdictsOf(agent, 'tried')).map(({ version }) => version));
    expect(versions).toEqual(new Set([1]));
    expect(await agent.end('SIGTERM')).toBe(0);
  });

  test('is another one after SIGHUP with a changed configuration, and the command line compares it', async () => {
    await using rollout = await RolloutPlant.start();
    const { configFile } = rollout.folder;
    rollout.addVersion(2, candidates.sound);
    rollout.addVersion(3, candidates.nervous);
    const models = { rollback: { minWindows: 20 } };
    rollout.configure({ shadow: 'echo@2' }, models);
    await using agent = await AgentProcess.start(configFile);
    await judged(agent, 20);
    const agreeing = await andon('models', 'compare', 'echo', '-c', configFile, '--url', urlOf(agent));
    expect(agreeing.code).toBe(0);
    expect(agreeing.stdout).toMatch(/^tried: shadow of echo@2 against echo@1/);
    expect(agreeing.stdout).toMatch(/The versions agree on 100\.0 % of \d+ windows\. .*andon models activate echo@2/);

    rollout.configure({ shadow: 'echo@3' }, models);
    agent.child.kill('SIGHUP');
    await agent.logged(({ msg }) => msg === 'The new configuration is in use.');
    await judged(agent, 20);
    const differing = await andon('models', 'compare', 'echo', '-c', configFile, '--url', urlOf(agent), '--json');
    expect(JSON.parse(differing.stdout)).toMatchObject({
      rollouts: [{ candidate: 3, agreement: 0, alarm_rate: { candidate: 1, incumbent: 0 }, stopped: null }],
    });

    rollout.configure({}, models);
    agent.child.kill('SIGHUP');
    await expect.poll(() => agent.log.filter(({ msg }) => msg === 'The new configuration is in use.').length).toBe(2);
    const none = await andon('models', 'compare', 'echo', '-c', configFile, '--url', urlOf(agent));
    expect(none).toMatchObject({ code: 0, stdout: expect.stringContaining('No version of echo is compared now') });
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(agent.stderr).toBe('');
  });
});

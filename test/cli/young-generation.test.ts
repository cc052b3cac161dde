import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { modelServerPid } from '../support/crash-children.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

/*
 * V8 never returns memory of its young generation, so an agent keeps the memory of its busiest second. The limit is a
 * flag of the command line that users need not know: `andon run` restarts itself with it.
 */
const MIB = 1_048_576;
/** Two halves of 4 MiB, and of 8 MiB in the model server; a process that may use more soon does. */
const LIMITED_BYTES = 8 * MIB;
const SERVER_LIMITED_BYTES = 16 * MIB;
const probe = new URL('../support/young-generation-probe.ts', import.meta.url);

type Probed = {
  readonly pid: number;
  readonly isModelServer: boolean;
  readonly threadId: number;
  readonly bytes: number;
};

type ProbedAgent = {
  readonly agent: readonly Probed[];
  readonly others: readonly Probed[];
  /** Command lines of the agent and its model server. */
  readonly commands: readonly string[];
  /** Environments of both. */
  readonly environments: readonly string[];
};

async function probed(flags: string, variables: NodeJS.ProcessEnv = {}): Promise<ProbedAgent> {
  using folder = new AgentFolder();
  folder.configure({
    sources: {
      plc: {
        type: 'modbus',
        url: 'tcp://127.0.0.1:1',
        scanInterval: '1s',
        tags: { a: { register: 'holding', address: 0, type: 'int16' } },
      },
    },
    serving: { listen: '127.0.0.1:0' },
    models: { directory: join(import.meta.dirname, '../../models'), serve: ['pump-anomaly'] },
  });
  // Child processes get no variable that the agent does not know.
  const url = `${probe.href}?folder=${encodeURIComponent(folder.path)}`;
  const env = { ...variables, NODE_OPTIONS: `--import=${url} ${flags}` };
  await using agent = await AgentProcess.start(folder.configFile, env);
  const { pid } = agent.child;
  const all = () =>
    readdirSync(folder.path)
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(join(folder.path, name), 'utf8') || '{}') as Probed);
  const ofAgent = () => all().filter((each) => each.pid === pid);
  const ofOthers = () => all().filter((each) => each.pid !== pid);
  // The agent with its storage threads; the reader of the manifest, the model server and the model host.
  await expect.poll(() => [ofAgent().length, ofOthers().length]).toEqual([4, 3]);
  const ofBoth = (file: string) =>
    [pid ?? 0, modelServerPid(pid ?? 0) ?? 0].map((each) => readFileSync(`/proc/${each}/${file}`, 'utf8'));
  return { agent: ofAgent(), others: ofOthers(), commands: ofBoth('cmdline'), environments: ofBoth('environ') };
}

test('the young generation is bounded in the agent, its storage threads, its model server and its model host', async () => {
  const { agent, others, commands, environments } = await probed('');
  for (const { bytes, isModelServer } of [...agent, ...others])
    expect(bytes).toBeLessThanOrEqual(isModelServer ? SERVER_LIMITED_BYTES : LIMITED_BYTES);
  // The old generation is measured by the attack of a thousand clients, as V8 does not report its limit.
  for (const command of commands) expect(command).toContain('hosts/limit-garbage');
  // So is the memory that malloc keeps for each thread.
  for (const environment of environments) expect(environment.split('\0')).toContain('MALLOC_ARENA_MAX=4');
});

test('another limit in NODE_OPTIONS or MALLOC_ARENA_MAX is kept', async () => {
  const { agent, others, environments } = await probed('--max-semi-space-size=32', { MALLOC_ARENA_MAX: '3' });
  for (const environment of environments) expect(environment.split('\0')).toContain('MALLOC_ARENA_MAX=3');
  for (const { bytes } of [...agent, ...others]) expect(bytes).toBeGreaterThan(SERVER_LIMITED_BYTES);
});

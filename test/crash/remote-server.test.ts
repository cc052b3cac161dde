import { expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { andon } from '../cli/run-andon.ts';
import { modelServerPid } from '../support/crash-children.ts';
import { CrashPlant } from '../support/crash-plant.ts';
import { loadPace } from '../support/load-pace.ts';
import { TestModelDirectory } from '../support/onnx-directory.ts';
import { meanModel } from '../support/onnx-models.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

/*
 * Two agents as their users run them: one watches a machine with a model that runs on the other, which is stopped,
 * continues, is killed and restarts. Invariant: every window has one verdict, in order, judged on its own values by
 * one of the two models, and its record names the model and the reason; once the server is back, it judges again.
 */
const STEP_MS = 200 * Math.max(2, loadPace);

type VerdictRecord = {
  readonly kind: string;
  readonly id: string;
  readonly timestamp_ms: number;
  readonly verdict: string;
  readonly reason: string;
  readonly score: number | null;
  readonly model: string;
  readonly version: number;
  readonly provider: string;
  readonly fallbacks: readonly { readonly provider: string; readonly reason: string }[];
  readonly tags: { readonly count: number };
};

/** Its score is the count, which differs at every scan. */
const echo = {
  name: 'echo',
  bytes: meanModel(1, 1),
  steps: 1,
  tags: 1,
  golden: [{ window: [0.5], score: 0.5 }],
  manifest: { threshold: 1e9 },
};

class TwoAgents implements AsyncDisposable {
  readonly serverFolder = new AgentFolder();
  readonly watchFolder = new AgentFolder();
  readonly served = new TestModelDirectory([echo]);
  readonly models = new TestModelDirectory([{ ...echo, name: 'stand-in' }]);
  readonly plant: CrashPlant;
  #server: AgentProcess | undefined;

  private constructor(plant: CrashPlant, port: number) {
    this.plant = plant;
    const url = `http://127.0.0.1:${port}`;
    this.serverFolder.configure({
      agent: { id: 'server' },
      sources: plant.sections('1s').sources,
      watches: {},
      serving: { listen: `127.0.0.1:${port}` },
      models: { directory: this.served.path, serve: ['echo'] },
    });
    this.models.addRemote(echo, { url, failures: 2, fallback: 'stand-in@1' });
    const window = { step: `${STEP_MS}ms`, maxAge: `${5 * loadPace}s` };
    this.watchFolder.configure({
      sources: plant.sections('100ms').sources,
      // A server that hangs leaves the fallback half a step.
      models: { directory: this.models.path, deadline: `${STEP_MS / 2}ms` },
      watches: { machine: { model: 'echo', tags: ['count'], window } },
    });
  }

  static async start(): Promise<TwoAgents> {
    return new TwoAgents(await CrashPlant.start(), await freePort());
  }

  get server(): AgentProcess {
    if (this.#server === undefined) throw new Error('the server was not started');
    return this.#server;
  }

  /** Both processes: the model server serves for as long as it is not stopped itself. */
  signalServer(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const { pid = 0 } = this.server.child;
    for (const each of [pid, modelServerPid(pid)]) if (each !== undefined) process.kill(each, signal);
  }

  async startServer(): Promise<void> {
    this.#server = await AgentProcess.start(this.serverFolder.configFile);
  }

  /** Returns the stored verdicts on windows, without the ones that report that a window fills. */
  async verdicts(): Promise<readonly VerdictRecord[]> {
    const { stdout } = await andon('outbox', 'export', '-c', this.watchFolder.configFile);
    const records = stdout.split('\n').filter((line) => line !== '');
    return records
      .map((line) => JSON.parse(line) as VerdictRecord)
      .filter(({ kind, reason }) => kind === 'verdict' && !/filling|is not ready: loading/.test(reason));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.serverFolder[Symbol.dispose]();
    this.watchFolder[Symbol.dispose]();
    this.served[Symbol.dispose]();
    this.models[Symbol.dispose]();
    await this.plant[Symbol.asyncDispose]();
  }
}

test('a watch whose model runs on a server loses no window and judges none twice, through every fault of the server', async () => {
  await using agents = await TwoAgents.start();
  await using watching = await AgentProcess.start(agents.watchFolder.configFile);
  const judges = async (model: string): Promise<void> => {
    const last = async () => {
      const answer = await fetch(`${watching.httpUrl}/api/v1/watches/machine/history`);
      const { verdicts } = (await answer.json()) as { readonly verdicts: readonly VerdictRecord[] };
      return verdicts.at(-1)?.model;
    };
    await expect.poll(last, { interval: 100 }).toBe(model);
    await new Promise((resolve) => setTimeout(resolve, 3 * STEP_MS));
  };
  await judges('stand-in');
  await agents.startServer();
  await judges('echo');
  agents.signalServer('SIGSTOP');
  await judges('stand-in');
  agents.signalServer('SIGCONT');
  await judges('echo');
  await agents.server.end('SIGKILL');
  await judges('stand-in');
  await agents.startServer();
  await judges('echo');
  expect(await watching.end('SIGTERM')).toBe(0);

  const verdicts = await agents.verdicts();
  const first = verdicts[0]?.timestamp_ms ?? 0;
  expect(verdicts.map(({ timestamp_ms }) => timestamp_ms)).toEqual(verdicts.map((_, index) => first + index * STEP_MS));
  expect(new Set(verdicts.map(({ id }) => id)).size).toBe(verdicts.length);
  expect(verdicts.filter(({ verdict }) => verdict !== 'normal')).toEqual([]);
  expect(verdicts.map(({ score }) => score)).toEqual(verdicts.map(({ tags }) => tags.count));
  const judgedBy = verdicts.map(({ model, version, provider }) => `${model}@${version} on ${provider}`);
  const [remote, local] = ['echo@1 on remote', 'stand-in@1 on cpu'];
  expect(judgedBy.filter((judge, index) => judge !== judgedBy[index - 1])).toEqual([
    local,
    remote,
    local,
    remote,
    local,
    remote,
  ]);
  for (const { model, fallbacks } of verdicts)
    expect(fallbacks.map(({ provider }) => provider)).toEqual(model === 'echo' ? [] : ['remote']);
  expect(watching.stderr).toBe('');
});

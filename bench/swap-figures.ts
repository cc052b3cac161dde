import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inferenceHostPids } from '../test/support/crash-children.ts';
import { AgentFolder, AgentProcess } from '../test/support/start-agent.ts';
import type { BenchSite } from './bench-site.ts';
import type { Figure, Goal } from './figure.ts';
import { writeBenchModel } from './model.ts';
import { Peer } from './peer.ts';
import { median } from './statistics.ts';
import { agentSections } from './subject.ts';
import type { ClientAnswer, ClientsProtocol } from './clients.ts';
import { type Load, machineMs, MODEL, watchOf } from './workload.ts';

/*
 * The installed agent judges a device every 100 ms and serves the same model to clients over HTTP, while two versions of the model
 * are activated in turn and while both inference hosts are killed.
 */
export const SWAP_ID = 'swap';

const load: Load = { id: 'w1', title: '', devices: 1, scanIntervalMs: 100, sideBySide: false };
const ADMIN_TOKEN = 'bench-admin-token';
/** After this time a host counts as healthy, and the next crash does not count as one of a series. */
const BETWEEN_CRASHES_MS = 11_000;
const WAIT_MS_MAX = 60_000;

type Windows = { readonly due: number; readonly judged: number };

export async function swapFigures(
  site: BenchSite,
  { swaps, crashes }: { readonly swaps: number; readonly crashes: number },
  say: (text: string) => void,
): Promise<readonly Figure[]> {
  await using bed = await SwapBed.start(site);
  say(`${SWAP_ID}: ${swaps} versions activated under load`);
  const swapped = await bed.during(async () => {
    for (let swap = 0; swap < swaps; swap += 1) await bed.activate(swap % 2 === 0 ? 2 : 1);
  });
  const backMs: number[] = [];
  const failed: ClientAnswer[] = [];
  let unjudged = 0;
  for (let crash = 1; crash <= crashes; crash += 1) {
    say(`${SWAP_ID}: both hosts are killed under load, ${crash} of ${crashes}`);
    await sleep(BETWEEN_CRASHES_MS);
    let killedMs = 0;
    const crashed = await bed.during(async () => {
      killedMs = bed.killHosts();
      await sleep(2_000);
    });
    const back = crashed.answers.find(({ status, askedMs }) => status === 200 && askedMs > killedMs);
    backMs.push((back?.answeredMs ?? Number.POSITIVE_INFINITY) - killedMs);
    failed.push(...crashed.answers.filter(({ status }) => status !== 200));
    unjudged += crashed.windows.due - crashed.windows.judged;
  }
  for (const error of new Set(failed.map(({ status, error: text }) => `${status} ${text}`)))
    say(`${SWAP_ID}: ${error}`);
  say(`${SWAP_ID}: back after ${backMs.map(Math.round).join(', ')} ms`);
  const swapFailures = swapped.answers.filter(({ status }) => status !== 200).length;
  return [
    figure('answered', 'requests answered over all changes of version', '', swapped.answers.length - swapFailures),
    figure('failed', 'requests failed over all changes of version', '', swapFailures, 0),
    figure('windows', 'windows due over all changes of version', '', swapped.windows.due),
    figure(
      'lost',
      'windows not judged over all changes of version',
      '',
      swapped.windows.due - swapped.windows.judged,
      0,
    ),
    figure('take-over', 'from an activation to its version answering everywhere, p50', 'ms', median(bed.activationsMs)),
    figure('back-p50', 'first good answer after the hosts were killed, p50', 'ms', median(backMs)),
    figure('back-max', 'first good answer after the hosts were killed, longest', 'ms', Math.max(...backMs), 1_000),
    figure('crash-failed', 'failed requests for each crash', '', failed.length / crashes),
    figure('crash-unjudged', 'windows not judged for each crash', '', unjudged / crashes),
  ];
}

function figure(id: string, title: string, unit: string, agent: number, most?: number): Figure {
  const goal: Goal | undefined = most === undefined ? undefined : { kind: 'at-most', value: most };
  return { id: `${SWAP_ID}.${id}`, title, unit, agent, limit: undefined, compared: undefined, goal };
}

/** The agent with two versions of the model, and clients that send requests without a pause. */
class SwapBed implements AsyncDisposable {
  readonly activationsMs: number[] = [];
  readonly #agent: AgentProcess;
  readonly #clients: Peer<ClientsProtocol>;
  readonly #stack: AsyncDisposableStack;

  private constructor(agent: AgentProcess, clients: Peer<ClientsProtocol>, stack: AsyncDisposableStack) {
    this.#agent = agent;
    this.#clients = clients;
    this.#stack = stack;
  }

  static async start(site: BenchSite): Promise<SwapBed> {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(new AgentFolder());
    // Activations write into the model directory, and all parts share that of the site.
    const directory = join(folder.path, 'models');
    cpSync(site.modelDirectory, directory, { recursive: true });
    writeBenchModel(directory, 2);
    writeBenchModel(directory, 1);
    folder.configure({
      ...agentSections(site, load),
      // No probation: it would add a process.
      // A model whose host is killed repeatedly would be quarantined.
      models: { directory, serve: [MODEL], rollback: { within: '0ms' }, quarantine: { crashes: 100 } },
      serving: { listen: '127.0.0.1:0' },
      http: { listen: '127.0.0.1:0', adminToken: { env: 'ANDON_ADMIN_TOKEN' } },
    });
    const env = { ANDON_ADMIN_TOKEN: ADMIN_TOKEN };
    const agent = stack.use(await AgentProcess.start(folder.configFile, env, site.agentProgram));
    const clients = stack.use(new Peer<ClientsProtocol>('clients.ts'));
    const bed = new SwapBed(agent, clients, stack.move());
    await bed.#isAt(1);
    await clients.call('start', { url: await agent.modelServerUrl() });
    await sleep(3_000);
    return bed;
  }

  /** Returns the answers to clients and the results of the windows during an action. */
  async during(
    act: () => Promise<void>,
  ): Promise<{ readonly answers: readonly ClientAnswer[]; readonly windows: Windows }> {
    await this.#clients.call('take', undefined);
    const before = await this.#windows();
    await act();
    const after = await this.#windows();
    const answers = await this.#clients.call('take', undefined);
    return { answers, windows: { due: after.due - before.due, judged: after.judged - before.judged } };
  }

  /** Activates over HTTP, as an operator does; resolves when the version judges for the watch and answers clients. */
  async activate(version: number): Promise<void> {
    const beganMs = machineMs();
    const answer = await fetch(`${this.#agent.httpUrl}/api/v1/models/${MODEL}/activate`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ version }),
    });
    if (!answer.ok) throw new Error(`The activation failed with HTTP ${answer.status}: ${await answer.text()}`);
    await this.#isAt(version);
    this.activationsMs.push(machineMs() - beganMs);
  }

  /** @returns Time on the monotonic clock of the machine. */
  killHosts(): number {
    for (const pid of inferenceHostPids(this.#agent.child.pid ?? 0)) process.kill(pid, 'SIGKILL');
    return machineMs();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #isAt(version: number): Promise<void> {
    const untilMs = machineMs() + WAIT_MS_MAX;
    for (;;) {
      const answer = await fetch(`${this.#agent.httpUrl}/api/v1/models`);
      const { models } = (await answer.json()) as {
        readonly models: readonly { readonly version: number; readonly state: string }[];
      };
      if (models.length === 2 && models.every((model) => model.state === 'ready' && model.version === version)) return;
      if (machineMs() > untilMs)
        throw new Error(`Version ${version} was not in use within ${WAIT_MS_MAX} ms: ${JSON.stringify(models)}`);
      await sleep(20);
    }
  }

  /** Returns the counts of the watch when no window is in flight. */
  async #windows(): Promise<Windows> {
    for (;;) {
      const text = await (await fetch(`${this.#agent.httpUrl}/metrics`)).text();
      const sum = (name: string) =>
        text
          .split('\n')
          .filter((line) => line.startsWith(name) && line.includes(`"${watchOf(1)}"`))
          .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
      const due = sum('andon_windows_due_total');
      if (sum('andon_windows_decided_total') === due)
        return { due, judged: sum(`andon_windows_decided_total{watch="${watchOf(1)}",outcome="judged"`) };
      await sleep(5);
    }
  }
}

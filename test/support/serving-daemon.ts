import { modelServerPid } from './crash-children.ts';
import { CrashPlant } from './crash-plant.ts';
import { AgentFolder, AgentProcess } from './start-agent.ts';

/** Time between two windows of its watch, longer than a run takes on a machine with a load of 20. */
export const HOP_MS = 250;
export const INFER = '/v2/models/echo/infer';
export const inferBody = JSON.stringify({
  inputs: [{ name: 'window', datatype: 'FP32', shape: [1, 1, 1], data: [7] }],
});

type Sections = {
  readonly models?: object;
  readonly http?: object;
  readonly serving?: object | undefined;
  readonly fleet?: object;
};

/** An agent with one watch and a model server, and the queries that tests need. */
export class Daemon implements AsyncDisposable {
  readonly plant: CrashPlant;
  readonly folder = new AgentFolder();
  #agent: AgentProcess | undefined;

  private constructor(plant: CrashPlant) {
    this.plant = plant;
  }

  /** Resolves when the agent has started and its model server listens. */
  static async start(sections: Sections = {}, env: NodeJS.ProcessEnv = {}): Promise<Daemon> {
    const daemon = await Daemon.startAgent(
      { ...sections, serving: { listen: '127.0.0.1:0', ...sections.serving } },
      env,
    );
    await daemon.agent.logged(isListening);
    return daemon;
  }

  /** Resolves when the agent has started; without section `serving` if it is left out. */
  static async startAgent({ serving, ...sections }: Sections = {}, env: NodeJS.ProcessEnv = {}): Promise<Daemon> {
    const daemon = new Daemon(await CrashPlant.start());
    const { sources, models } = daemon.plant.sections('500ms');
    const watch = { model: 'echo', tags: ['level'], window: { step: `${HOP_MS}ms`, maxAge: '10s' } };
    daemon.folder.configure({
      sources,
      // A machine that is busy with other work must not make a run fail.
      models: { ...models, deadline: '30s', ...sections.models },
      watches: { level: watch },
      http: { listen: '127.0.0.1:0', ...sections.http },
      ...(sections.fleet === undefined ? {} : { fleet: sections.fleet }),
      ...(serving === undefined ? {} : { serving }),
    });
    daemon.#agent = await AgentProcess.start(daemon.folder.configFile, env);
    return daemon;
  }

  get agent(): AgentProcess {
    if (this.#agent === undefined) throw new Error('the agent was not started');
    return this.#agent;
  }

  get url(): string {
    return this.agent.httpUrl;
  }

  /** URL of the model server, as its latest process logged it. */
  get servingUrl(): string {
    return String(this.agent.log.findLast(isListening)?.['url']);
  }

  get modelServerPid(): number | undefined {
    return modelServerPid(this.agent.child.pid ?? 0);
  }

  /** @returns The status. If it is 200, the result was checked. */
  async infer(): Promise<number> {
    const answer = await fetch(this.servingUrl + INFER, { method: 'POST', body: inferBody });
    const { outputs } = (await answer.json()) as { readonly outputs?: readonly [{ readonly data: readonly number[] }] };
    if (answer.ok && outputs?.[0].data[0] !== 7) throw new Error(`7 came back as ${JSON.stringify(outputs)}`);
    return answer.status;
  }

  /** Returns a component of the agent's health. */
  async component(name: string): Promise<{ readonly status: string; readonly reason: string } | undefined> {
    const { components } = (await (await fetch(`${this.url}/healthz`)).json()) as {
      readonly components: readonly { readonly name: string; readonly status: string; readonly reason: string }[];
    };
    return components.find((component) => component.name === name);
  }

  /** Returns the sum over all samples of a metric with these labels. */
  async metric(name: string, ...labels: readonly string[]): Promise<number> {
    const lines = (await (await fetch(`${this.url}/metrics`)).text()).split('\n');
    const found = lines.filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)));
    return found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
    await this.plant[Symbol.asyncDispose]();
  }
}

function isListening({ msg }: { readonly msg: string }): boolean {
  return msg === 'The model server listens.';
}

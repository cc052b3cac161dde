import { AgentFolder, AgentProcess } from './start-agent.ts';
import { gatewayPid } from './crash-children.ts';
import { CrashPlant } from './crash-plant.ts';

/** Between two windows of its watch. */
export const HOP_MS = 50;
export const INFER = '/v2/models/echo/infer';
export const inferBody = JSON.stringify({
  inputs: [{ name: 'window', datatype: 'FP32', shape: [1, 1, 1], data: [7] }],
});

/** An agent with one watch, and what a test may want of it. */
export class Daemon implements AsyncDisposable {
  readonly plant: CrashPlant;
  readonly folder = new AgentFolder();
  #agent: AgentProcess | undefined;

  private constructor(plant: CrashPlant) {
    this.plant = plant;
  }

  static async start(
    sections: { readonly models?: object; readonly http?: object } = {},
    env: NodeJS.ProcessEnv = {},
  ): Promise<Daemon> {
    const daemon = new Daemon(await CrashPlant.start());
    const { sources, models } = daemon.plant.sections('500ms');
    const watch = { model: 'echo', tags: ['level'], window: { step: `${HOP_MS}ms`, maxAge: '10s' } };
    const http = { listen: '127.0.0.1:0', ...sections.http };
    daemon.folder.configure({ sources, models: { ...models, ...sections.models }, watches: { level: watch }, http });
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

  get gatewayPid(): number | undefined {
    return gatewayPid(this.agent.child.pid ?? 0);
  }

  /** @returns The status; where that is 200, the answer was right. */
  async infer(): Promise<number> {
    const answer = await fetch(this.url + INFER, { method: 'POST', body: inferBody });
    const { outputs } = (await answer.json()) as { readonly outputs?: readonly [{ readonly data: readonly number[] }] };
    if (answer.ok && outputs?.[0].data[0] !== 7) throw new Error(`7 came back as ${JSON.stringify(outputs)}`);
    return answer.status;
  }

  /** A component of its health. */
  async component(name: string): Promise<{ readonly status: string; readonly reason: string } | undefined> {
    const { components } = (await (await fetch(`${this.url}/healthz`)).json()) as {
      readonly components: readonly { readonly name: string; readonly status: string; readonly reason: string }[];
    };
    return components.find((component) => component.name === name);
  }

  /** Sum over every sample of a metric with these labels. */
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

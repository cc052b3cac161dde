import { AgentFolder, AgentProcess } from '../test/support/start-agent.ts';
import type { BenchSite } from './bench-site.ts';
import { agentSections } from './subject.ts';
import { WIDE_MODEL, WIDE_MODEL_ALONE } from './wide-model.ts';
import { MODEL } from './workload.ts';

export type ServingAgent = {
  readonly pid: number;
  readonly inferUrl: (model: string) => string;
};

/** Starts the agent as its service does, with one watch, and serves every model of the bench to clients. */
export async function startServingAgent(
  site: BenchSite,
  scanIntervalMs: number,
  stack: AsyncDisposableStack,
): Promise<ServingAgent> {
  const folder = stack.use(new AgentFolder());
  const { models, ...sections } = agentSections(site, { devices: 1, scanIntervalMs });
  const limits = { [WIDE_MODEL]: { maxBatch: 32 }, [WIDE_MODEL_ALONE]: { maxBatch: 1 } };
  folder.configure({ ...sections, serving: { listen: '127.0.0.1:0' }, models: { ...models, serve: 'all', limits } });
  const agent = stack.use(await AgentProcess.start(folder.configFile, {}, site.agentProgram));
  const url = await agent.modelServerUrl();
  const inferUrl = (model: string) => `${url}/v2/models/${model}/infer`;
  await Promise.all([MODEL, WIDE_MODEL, WIDE_MODEL_ALONE].map((model) => modelReady(inferUrl(model))));
  return { pid: agent.child.pid ?? 0, inferUrl };
}

/** Returns values for a model in the JSON of the Open Inference Protocol. */
export function inferBody(shape: readonly number[]): string {
  const count = shape.reduce((product, size) => product * size, 1);
  const data = Array.from({ length: count }, (_, index) => Math.fround(Math.sin(index)));
  return JSON.stringify({ inputs: [{ name: 'window', datatype: 'FP32', shape, data }] });
}

async function modelReady(url: string): Promise<void> {
  const ready = url.replace(/infer$/, 'ready');
  while ((await fetch(ready)).status !== 200) await new Promise((resolve) => setTimeout(resolve, 20));
}

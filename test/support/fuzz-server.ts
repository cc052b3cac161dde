import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { stringify } from 'yaml';
import { gptDecoder, gptShape } from '../../scripts/make-model-families.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { SupervisedInferenceHost } from '../../src/runtime/supervised-host.ts';
import { buildOnnx } from './onnx-builder.ts';
import { autoencoderModel } from './onnx-models.ts';
import { metricValue, testDeps } from './test-deps.ts';
import { V2Server } from './v2-server.ts';

/*
 * A process to be attacked: the endpoint with three real models behind it, one of which writes text. Tells its URL, then at each message how its
 * loop and its memory do.
 */

export type FuzzServerReport = {
  readonly url: string;
  /** Delay of the main thread since the last report, in milliseconds above the timer's resolution. */
  readonly loopDelayMsP99: number;
  readonly loopDelayMsMax: number;
  readonly residentBytes: number;
  readonly inferences: number;
  readonly tokens: number;
};

const RESOLUTION_MS = 1;

const directory = mkdtempSync(join(tmpdir(), 'andon-fuzz-'));
install('mlp', autoencoderModel(4, 2, 8));
install('mixed', mixedModel());
install('gpt', gptDecoder().bytes, { generation: { maxTokens: gptShape.positions, endToken: 0 } });
const host = new SupervisedInferenceHost({
  entry: new URL('../../src/hosts/inference-host.ts', import.meta.url),
  // A run that a busy machine delays is not a fault.
  config: modelsConfigSchema.parse({ directory, serve: 'all', deadline: '60s' }),
  models: [],
  deps: testDeps(),
});
host.start();
for (const name of ['mlp', 'mixed', 'gpt']) await host.clients.load({ name, version: undefined });
// Fewer generations than there are attackers, so that some find no place.
const generation = { maxConcurrent: 4, maxTokens: 64 };
const server = await V2Server.start(host.clients, { maxBody: '1MB', requestTimeout: '5s', generation });
const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

process.on('message', () => void report());
process.on('disconnect', () => void stop());
process.send?.({ url: server.url });

async function report(): Promise<void> {
  globalThis.gc?.();
  const { percentile, max } = { percentile: delays.percentile(99), max: delays.max };
  process.send?.({
    url: server.url,
    loopDelayMsP99: percentile / 1e6 - RESOLUTION_MS,
    loopDelayMsMax: max / 1e6 - RESOLUTION_MS,
    residentBytes: process.memoryUsage.rss(),
    tokens: await metricValue(server.deps, 'andon_http_generated_tokens_total{model="gpt"}'),
    inferences: host.clients.statistics().reduce((sum, { inferences }) => sum + inferences, 0),
  } satisfies FuzzServerReport);
  // From the first question on: its own timer, a thousand times a second, is load too.
  delays.enable();
  delays.reset();
}

async function stop(): Promise<void> {
  await server[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
  process.exit(0);
}

function mixedModel(): Uint8Array {
  const types = ['int64', 'bool', 'string', 'float64', 'uint8'] as const;
  return buildOnnx({
    inputs: types.map((type) => ({ name: `${type}-in`, type, dims: ['n', 2] })),
    outputs: types.map((type) => ({ name: `${type}-out`, type, dims: ['n', 2] })),
    nodes: types.map((type) => ({ op: 'Identity', inputs: [`${type}-in`], outputs: [`${type}-out`] })),
  });
}

function install(name: string, bytes: Uint8Array, more: object = {}): void {
  const folder = join(directory, name, '1');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.onnx'), bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(
    join(folder, 'model.yaml'),
    stringify({ name, version: 1, task: 'other', sha256, golden: [], ...more }),
  );
  writeFileSync(join(directory, name, 'active'), '1\n');
}

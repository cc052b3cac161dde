import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { request, Agent } from 'node:http';
import process from 'node:process';
import fastify from 'fastify';
import { autoencoderModel } from '../test/support/onnx-models.ts';
import type { FuzzServerReport } from '../test/support/fuzz-server.ts';

/*
 * Requests a second of one client on a small MLP: through andon's endpoint, and through a bare fastify route that runs the
 * same session in a child process, in turns. Turns are short, so that whatever else the machine does falls on both. `node scripts/serving-rate.ts [rounds]`
 */
const TURN_MS = 100;
const WARM_UP_TURNS = 20;
const window = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];
const body = JSON.stringify({ inputs: [{ name: 'window', datatype: 'FP32', shape: [1, 4, 2], data: window }] });

const [role = '100'] = process.argv.slice(2);
if (role === 'bare-route') await serveBare();
else if (role === 'session') await runSession();
else await compare(Number(role));

async function compare(rounds: number): Promise<void> {
  const env = { ...process.env, ORT_DISABLE_TELEMETRY: '1' };
  const ours = fork(new URL('../test/support/fuzz-server.ts', import.meta.url), { env });
  const bare = fork(import.meta.filename, ['bare-route'], { env });
  const [ourUrl, bareUrl] = await Promise.all([urlOf(ours), urlOf(bare)]);
  const ourRates: number[] = [];
  const bareRates: number[] = [];
  for (let turn = -WARM_UP_TURNS; turn < rounds; turn += 1) {
    const ourRate = await rate(`${ourUrl}/v2/models/mlp/infer`, TURN_MS);
    const bareRate = await rate(`${bareUrl}/infer`, TURN_MS);
    if (turn < 0) continue;
    ourRates.push(ourRate);
    bareRates.push(bareRate);
  }
  const ratio = median(ourRates.map((ourRate, turn) => ourRate / (bareRates[turn] ?? 1)));
  console.log(
    `median of ${rounds} turns: andon ${Math.round(median(ourRates))}/s, bare route ${Math.round(median(bareRates))}/s, ratio ${ratio.toFixed(2)}`,
  );
  ours.disconnect();
  bare.disconnect();
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function urlOf(child: ChildProcess): Promise<string> {
  const [{ url }] = (await once(child, 'message')) as [Pick<FuzzServerReport, 'url'>];
  return url;
}

async function rate(url: string, roundMs: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const startedMs = performance.now();
  let count = 0;
  while (performance.now() - startedMs < roundMs) {
    await post(url, agent);
    count += 1;
  }
  agent.destroy();
  return (count * 1000) / (performance.now() - startedMs);
}

function post(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const sent = request(url, { method: 'POST', agent, headers }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`${url}: ${answer.statusCode}`));
      answer.resume().on('end', resolve);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** The least that serves a model apart from the event loop: a route, a message to a child, a message back. */
async function serveBare(): Promise<void> {
  const child = fork(import.meta.filename, ['session'], { serialization: 'advanced' });
  await once(child, 'message');
  const waiting: ((score: Float32Array) => void)[] = [];
  child.on('message', (score: Float32Array) => waiting.shift()?.(score));
  const app = fastify();
  app.post('/infer', async (asked) => {
    const { inputs } = asked.body as {
      readonly inputs: readonly [{ readonly shape: number[]; readonly data: number[] }];
    };
    const [{ shape, data }] = inputs;
    const score = await new Promise<Float32Array>((resolve) => {
      waiting.push(resolve);
      child.send({ shape, data: Float32Array.from(data) });
    });
    return { outputs: [{ name: 'score', datatype: 'FP32', shape: [score.length], data: [...score] }] };
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ url });
}

async function runSession(): Promise<void> {
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(autoencoderModel(4, 2, 8), { intraOpNumThreads: 1 });
  process.on('message', ({ shape, data }: { readonly shape: number[]; readonly data: Float32Array }) => {
    void session
      .run({ window: new ort.Tensor('float32', data, shape) })
      .then(({ score }) => process.send?.(score?.data));
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.('ready');
}

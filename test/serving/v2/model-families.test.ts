import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type FamilyMember,
  ganDiscriminator,
  ganGenerator,
  ganShape,
  gptDecoder,
  gptShape,
  linearRegression,
  multiLayerPerceptron,
  recurrentClassifier,
  textClassifier,
} from '../../../scripts/make-model-families.ts';
import type { Tensor } from '../../../src/contracts/inference.ts';
import { EventClient } from '../../support/event-client.ts';
import {
  discriminated,
  generated,
  gptLogits,
  linear,
  perceptron,
  recurrent,
  wordCounts,
} from '../../support/family-arithmetic.ts';
import { type OipForm, oipInfer } from '../../support/oip-client.ts';
import { HostHarness, model } from '../../support/onnx-host-harness.ts';
import { V2Server } from '../../support/v2-server.ts';

/*
 * The families of models that people serve, each as a real graph in the real host, asked over HTTP by a client that
 * shares no code with the server, against arithmetic that was written from the formulas.
 */

/** For float32 against double. */
const DIFFERENCE_MAX = 1e-4;
const forms: readonly OipForm[] = ['json', 'binary'];
const window = Array.from({ length: ganShape.steps * ganShape.tags }, (_, index) => Math.fround(Math.sin(index)));
const members = {
  linear: linearRegression(),
  mlp: multiLayerPerceptron(),
  words: textClassifier(),
  lstm: recurrentClassifier(),
  generator: ganGenerator(),
  gpt: gptDecoder(),
} as const satisfies Readonly<Record<string, FamilyMember>>;
const discriminator = ganDiscriminator();

let harness: HostHarness;
let server: V2Server;
beforeAll(async () => {
  const golden = [{ window, score: discriminated(discriminator.weights, window) }];
  harness = new HostHarness([
    { name: 'discriminator', bytes: discriminator.bytes, steps: ganShape.steps, tags: ganShape.tags, golden },
  ]);
  await harness.ready('discriminator');
  for (const [name, { bytes }] of Object.entries(members)) {
    const more = name === 'gpt' ? { generation: { maxTokens: gptShape.positions } } : {};
    harness.directory.addGraph({ name, bytes, golden: [], more });
    await harness.host.clients.load(model(name));
  }
  server = await V2Server.start(harness.host.clients);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await harness[Symbol.asyncDispose]();
});

describe.each(forms)('served in %s', (form) => {
  test('a linear regression, of several rows in one request', async () => {
    const { weights } = members.linear;
    const y = await served('linear', { x: floats([2, 3], [1, 2, 3, -4, 5, 0.5]) }, 'y', form);
    expect(y.dims).toEqual([2, 1]);
    expect(largestDifference(y, [...linear(weights, [1, 2, 3]), ...linear(weights, [-4, 5, 0.5])])).toBeLessThan(
      DIFFERENCE_MAX,
    );
  });

  test('a multi-layer perceptron', async () => {
    const x = [0.5, -1, 2, 0, 1, -2];
    const probabilities = await served('mlp', { x: floats([1, 6], x) }, 'probabilities', form);
    expect(largestDifference(probabilities, perceptron(members.mlp.weights, x))).toBeLessThan(DIFFERENCE_MAX);
  });

  test('a text classifier over a bag of words, in any case and script', async () => {
    const words = ['Pump', 'HOT', 'größer-als', 'pump', '', 'noise', '漏れ'];
    const tensor: Tensor = { type: 'string', dims: [1, words.length], data: words };
    const probabilities = await served('words', { words: tensor }, 'probabilities', form);
    expect(largestDifference(probabilities, wordCounts(members.words.weights, words))).toBeLessThan(DIFFERENCE_MAX);
  });

  test('a text classifier with an embedding and an LSTM', async () => {
    const ids = [3, 17, 0, 9, 9, 4];
    const probabilities = await served('lstm', { ids: integers([1, 6], ids) }, 'probabilities', form);
    expect(largestDifference(probabilities, recurrent(members.lstm.weights, ids))).toBeLessThan(DIFFERENCE_MAX);
  });

  test('the generator of a GAN', async () => {
    const noise = [0.1, -0.5, 1, 0.7];
    const tensor = await served('generator', { noise: floats([1, 4], noise) }, 'window', form);
    expect(tensor.dims).toEqual([1, ganShape.steps, ganShape.tags]);
    expect(largestDifference(tensor, generated(members.generator.weights, noise))).toBeLessThan(DIFFERENCE_MAX);
  });

  test('the discriminator of a GAN, as an anomaly score', async () => {
    const tensor = floats([1, ganShape.steps, ganShape.tags], window);
    const score = await served('discriminator', { window: tensor }, 'score', form);
    expect(largestDifference(score, [discriminated(discriminator.weights, window)])).toBeLessThan(DIFFERENCE_MAX);
  });

  test('a decoder returns the logits of the whole text, in one step or token by token', async () => {
    const text = [5, 1, 28, 0, 13, 7];
    const expected = gptLogits(members.gpt.weights, text);
    const whole = await step(text, 0, emptyCache(), form);
    expect(largestDifference(whole.logits, expected)).toBeLessThan(DIFFERENCE_MAX);
    let cache = emptyCache();
    let logits: Tensor = whole.logits;
    for (const [place, token] of text.entries()) ({ logits, cache } = await step([token], place, cache, form));
    expect(largestDifference(logits, expected)).toBeLessThan(DIFFERENCE_MAX);
  });
});

test('the discriminator of a GAN judges for a watch', async () => {
  const tensor = floats([1, ganShape.steps, ganShape.tags], window);
  const { outputs } = await harness.host.run(model('discriminator'), { window: tensor });
  expect(largestDifference(outputs['score'], [discriminated(discriminator.weights, window)])).toBeLessThan(
    DIFFERENCE_MAX,
  );
});

describe('a decoder writes', () => {
  const prompt = [5, 1, 28];
  const likeliest: number[] = [];
  for (let index = 0; index < 12; index += 1) {
    const logits = gptLogits(members.gpt.weights, [...prompt, ...likeliest]);
    likeliest.push(logits.indexOf(Math.max(...logits)));
  }
  const head = { model_name: 'gpt', model_version: '1' };

  test('what the likeliest tokens are, one after another, in one answer', async () => {
    expect(await answered({ input_ids: prompt, parameters: { max_tokens: 12 } })).toEqual({
      ...head,
      output_ids: likeliest,
      finish_reason: 'max_tokens',
    });
  });

  test('the same as a stream', async () => {
    const client = await stream({ input_ids: prompt, parameters: { max_tokens: 12 } });
    expect(await client.all()).toEqual([
      ...likeliest.map((token, index) => ({ ...head, token, index })),
      { ...head, finish_reason: 'max_tokens', token_count: 12 },
    ]);
  });

  test('until the text is as long as the model reads', async () => {
    const long = Array.from({ length: gptShape.positions - 2 }, () => 1);
    const answer = await answered({ input_ids: long, parameters: { max_tokens: 100 } });
    expect(answer).toMatchObject({
      output_ids: [expect.any(Number), expect.any(Number)],
      finish_reason: 'model_limit',
    });
  });

  test('several concurrent texts, each its own, in turns', async () => {
    const order: number[] = [];
    const prompts = [[1], [2, 3], [4, 5, 6]];
    const texts = await Promise.all(
      prompts.map(async (input, which) => {
        const tokens: unknown[] = [];
        const client = await stream({ input_ids: input, parameters: { max_tokens: 40 } });
        for (let event = await client.next(); event !== undefined; event = await client.next()) {
          order.push(which);
          if (typeof event === 'object' && event !== null && 'token' in event) tokens.push(event.token);
        }
        return tokens;
      }),
    );
    for (const [which, input] of prompts.entries())
      expect(texts[which]).toEqual((await answered({ input_ids: input, parameters: { max_tokens: 40 } })).output_ids);
    // None is done before another has had a half of its tokens.
    const firstDone = Math.min(...prompts.map((_, which) => order.lastIndexOf(which)));
    for (const [which] of prompts.entries())
      expect(order.slice(0, firstDone).filter((other) => other === which).length).toBeGreaterThan(20);
  });

  test('but not a model that is none', async () => {
    const answer = await server.post('/v2/models/discriminator/generate', { input_ids: [1] });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('cannot generate text')]);
  });
});

type Cache = Readonly<Record<string, Tensor>>;
type Answer = { readonly output_ids: readonly number[]; readonly finish_reason: string };

async function answered(body: object): Promise<Answer> {
  const answer = await server.post('/v2/models/gpt/generate', body);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Answer;
}

function stream(body: object): Promise<EventClient> {
  return EventClient.post(`${server.url}/v2/models/gpt/generate_stream`, body);
}

function emptyCache(): Cache {
  const dims = [1, gptShape.heads, 0, gptShape.width / gptShape.heads];
  const layers = Array.from({ length: gptShape.layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
  return Object.fromEntries(layers.map((name) => [`past_key_values.${name}`, floats(dims, [])]));
}

/** One run of the decoder: logits of the last position, and the cache for the next. */
async function step(tokens: readonly number[], read: number, cache: Cache, form: OipForm) {
  const dims = [1, tokens.length];
  const positions = tokens.map((_, index) => read + index);
  const inputs = { input_ids: integers(dims, tokens), position_ids: integers(dims, positions), ...cache };
  const outputs = await infer('gpt', inputs, form);
  const last = [...(outputs.get('logits')?.data ?? [])].map(Number).slice(-gptShape.vocabulary);
  const entries = [...outputs].filter(([name]) => name.startsWith('present'));
  return {
    logits: floats([last.length], last),
    cache: Object.fromEntries(entries.map(([name, tensor]) => [name.replace('present', 'past_key_values'), tensor])),
  };
}

async function served(name: keyof typeof members | 'discriminator', inputs: Cache, output: string, form: OipForm) {
  const tensor = (await infer(name, inputs, form)).get(output);
  if (tensor === undefined) throw new Error(`'${name}' gives no '${output}'`);
  return tensor;
}

function infer(name: string, inputs: Cache, form: OipForm) {
  const named = Object.entries(inputs).map(([input, tensor]) => ({ name: input, tensor }));
  return oipInfer(`${server.url}/v2/models/${name}/infer`, named, form);
}

function floats(dims: readonly number[], values: readonly number[]): Tensor {
  return { type: 'float32', dims, data: Float32Array.from(values) };
}

function integers(dims: readonly number[], values: readonly number[]): Tensor {
  return { type: 'int64', dims, data: BigInt64Array.from(values, BigInt) };
}

function largestDifference(found: Tensor | undefined, expected: readonly number[]): number {
  const values = [...(found?.data ?? [])].map(Number);
  if (values.length !== expected.length) return Number.POSITIVE_INFINITY;
  return Math.max(...expected.map((value, index) => Math.abs((values[index] ?? Number.NaN) - value)));
}

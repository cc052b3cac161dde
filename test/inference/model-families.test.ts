import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ganDiscriminator,
  ganGenerator,
  ganShape,
  gptDecoder,
  gptShape,
  linearRegression,
  multiLayerPerceptron,
  recurrentClassifier,
  textClassifier,
} from '../../scripts/make-model-families.ts';
import type { FamilyMember } from '../../scripts/make-model-families.ts';
import type { Tensor } from '../../src/contracts/inference.ts';
import type { GenerateOptions } from '../../src/inference/generate.ts';
import { generate } from '../../src/inference/generate.ts';
import {
  discriminated,
  generated,
  gptLogits,
  linear,
  perceptron,
  recurrent,
  wordCounts,
} from '../support/family-arithmetic.ts';
import { HostHarness, model } from '../support/onnx-host-harness.ts';

/*
 * The families of models that people serve, each as a real graph through the real host, against arithmetic that was
 * written from the formulas. Largest difference allowed: 1e-4, for float32 against double.
 */
const window = Array.from({ length: ganShape.steps * ganShape.tags }, (_, index) => Math.fround(Math.sin(index)));
const discriminator = ganDiscriminator();
const gpt = gptDecoder();

let harness: HostHarness;
beforeAll(async () => {
  const golden = [{ window, score: discriminated(discriminator.weights, window) }];
  harness = new HostHarness([
    { name: 'discriminator', bytes: discriminator.bytes, steps: ganShape.steps, tags: ganShape.tags, golden },
  ]);
  await harness.ready('discriminator');
});
afterAll(() => harness[Symbol.asyncDispose]());

test('a linear regression, of several rows at once', async () => {
  const member = linearRegression();
  const y = await served('linear', member, { x: floats([2, 3], [1, 2, 3, -4, 5, 0.5]) }, 'y');
  expect(
    largestDifference(y, [...linear(member.weights, [1, 2, 3]), ...linear(member.weights, [-4, 5, 0.5])]),
  ).toBeLessThan(1e-4);
});

test('a multi-layer perceptron', async () => {
  const member = multiLayerPerceptron();
  const x = [0.5, -1, 2, 0, 1, -2];
  expect(
    largestDifference(
      await served('mlp', member, { x: floats([1, 6], x) }, 'probabilities'),
      perceptron(member.weights, x),
    ),
  ).toBeLessThan(1e-4);
});

test('a text classifier over a bag of words, in any case', async () => {
  const member = textClassifier();
  const words = ['Pump', 'HOT', 'unheard-of', 'pump', 'noise'];
  const tensor: Tensor = { type: 'string', dims: [1, words.length], data: words };
  expect(
    largestDifference(
      await served('words', member, { words: tensor }, 'probabilities'),
      wordCounts(member.weights, words),
    ),
  ).toBeLessThan(1e-4);
});

test('a text classifier with an embedding and an LSTM', async () => {
  const member = recurrentClassifier();
  const ids = [3, 17, 0, 9, 9, 4];
  expect(
    largestDifference(
      await served('lstm', member, { ids: integers([1, 6], ids) }, 'probabilities'),
      recurrent(member.weights, ids),
    ),
  ).toBeLessThan(1e-4);
});

test('the generator of a GAN', async () => {
  const member = ganGenerator();
  const noise = [0.1, -0.5, 1, 0.7];
  expect(
    largestDifference(
      await served('generator', member, { noise: floats([1, 4], noise) }, 'window'),
      generated(member.weights, noise),
    ),
  ).toBeLessThan(1e-4);
});

test('the discriminator of a GAN judges for a watch', async () => {
  const tensor = floats([1, ganShape.steps, ganShape.tags], window);
  const { outputs } = await harness.host.run(model('discriminator'), { window: tensor });
  expect(
    largestDifference([...(outputs['score']?.data ?? [])].map(Number), [discriminated(discriminator.weights, window)]),
  ).toBeLessThan(1e-4);
});

describe('a decoder with a key-value cache', () => {
  beforeAll(async () => {
    harness.directory.addGraph({
      name: 'gpt',
      bytes: gpt.bytes,
      golden: [],
      more: { generation: { maxTokens: gptShape.positions } },
    });
    await harness.host.load(model('gpt'));
  });

  test('gives the logits that reading the whole text gives, whether it is fed at once or token by token', async () => {
    const text = [5, 1, 28, 0, 13, 7];
    const whole = await step(text, 0, emptyCache());
    expect(largestDifference(whole.logits, gptLogits(gpt.weights, text))).toBeLessThan(1e-4);
    let cache = emptyCache();
    let logits: readonly number[] = [];
    for (const [place, token] of text.entries()) ({ logits, cache } = await step([token], place, cache));
    expect(largestDifference(logits, gptLogits(gpt.weights, text))).toBeLessThan(1e-4);
  });

  test('writes what the likeliest tokens are, one after another', async () => {
    const text = [5, 1, 28];
    const expected: number[] = [];
    for (let index = 0; index < 12; index += 1)
      expected.push(likeliest(gptLogits(gpt.weights, [...text, ...expected])));
    expect(await write({ prompt: text, tokensMax: 12 })).toEqual(expected);
  });

  test('draws by temperature: the same chance gives the same text, and no more than the best few are drawn', async () => {
    const dice = () => {
      let state = 9;
      return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
    };
    const draw = (topK?: number) => write({ prompt: [3], tokensMax: 8, temperature: 5, topK, random: dice() });
    expect(await draw()).toEqual(await draw());
    expect(await draw()).not.toEqual(await write({ prompt: [3], tokensMax: 8 }));
    expect(await draw(1)).toEqual(await write({ prompt: [3], tokensMax: 8 }));
  });

  test('stops where the text is as long as the model reads, and when whoever asked is gone', async () => {
    const prompt = Array.from({ length: gptShape.positions - 2 }, () => 1);
    expect(await write({ prompt, tokensMax: 100 })).toHaveLength(2);
    await expect(write({ prompt: [...prompt, 1, 1], tokensMax: 1 })).rejects.toMatchObject({
      code: 'model-input-invalid',
    });
    const gone = new AbortController();
    const tokens: number[] = [];
    for await (const { token } of generate(
      harness.host,
      options({ prompt: [1], tokensMax: 50, signal: gone.signal }),
    )) {
      tokens.push(token);
      if (tokens.length === 3) gone.abort();
    }
    expect(tokens).toHaveLength(3);
  });

  test('is what a model must be to write', async () => {
    const noDecoder = options({ prompt: [1], tokensMax: 1, model: model('discriminator') });
    await expect(generate(harness.host, noDecoder).next()).rejects.toThrow('writes no text');
  });
});

type Cache = Readonly<Record<string, Tensor>>;

function emptyCache(): Cache {
  const dims = [1, gptShape.heads, 0, gptShape.width / gptShape.heads];
  const layers = Array.from({ length: gptShape.layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
  return Object.fromEntries(layers.map((name) => [`past_key_values.${name}`, floats(dims, [])]));
}

/** One run of the decoder: logits of the last position, and the cache for the next. */
async function step(tokens: readonly number[], read: number, cache: Cache) {
  const dims = [1, tokens.length];
  const positions = tokens.map((_, index) => read + index);
  const inputs = { input_ids: integers(dims, tokens), position_ids: integers(dims, positions), ...cache };
  const { outputs } = await harness.host.run(model('gpt'), inputs, 'visitor');
  const entries = Object.entries(outputs).filter(([name]) => name.startsWith('present'));
  return {
    logits: [...(outputs['logits']?.data ?? [])].map(Number).slice(-gptShape.vocabulary),
    cache: Object.fromEntries(entries.map(([name, tensor]) => [name.replace('present', 'past_key_values'), tensor])),
  };
}

function options(changes: Partial<GenerateOptions>): GenerateOptions {
  return { model: model('gpt'), prompt: [1], tokensMax: 1, temperature: 0, random: () => 0.5, ...changes };
}

async function write(changes: Partial<GenerateOptions>): Promise<readonly number[]> {
  const tokens: number[] = [];
  for await (const { token } of generate(harness.host, options(changes))) tokens.push(token);
  return tokens;
}

function likeliest(logits: readonly number[]): number {
  return logits.indexOf(Math.max(...logits));
}

async function served(name: string, member: FamilyMember, inputs: Readonly<Record<string, Tensor>>, output: string) {
  harness.directory.addGraph({ name, bytes: member.bytes, golden: [] });
  await harness.host.load(model(name));
  const result = await harness.host.run(model(name), inputs, 'visitor');
  return [...(result.outputs[output]?.data ?? [])].map(Number);
}

function floats(dims: readonly number[], values: readonly number[]): Tensor {
  return { type: 'float32', dims, data: Float32Array.from(values) };
}

function integers(dims: readonly number[], values: readonly number[]): Tensor {
  return { type: 'int64', dims, data: BigInt64Array.from(values, BigInt) };
}

function largestDifference(found: readonly number[], expected: readonly number[]): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  return Math.max(...expected.map((value, index) => Math.abs((found[index] ?? Number.NaN) - value)));
}

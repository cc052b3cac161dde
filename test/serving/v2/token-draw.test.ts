import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { SeededDraws } from '../../../src/domain/seeded-draws.ts';
import { drawToken } from '../../../src/serving/text/token-draw.ts';

const DRAWS = 20_000;
/** Four standard deviations of a share of a half. */
const DIFFERENCE_MAX = 0.015;

function shares(logits: Float32Array, temperature: number, topK?: number): readonly number[] {
  const draws = new SeededDraws(5);
  const counts = Array.from(logits, () => 0);
  for (let draw = 0; draw < DRAWS; draw += 1) {
    const token = drawToken(logits, { temperature, topK, random: () => draws.uniform() });
    counts[token] = (counts[token] ?? 0) + 1;
  }
  return counts.map((count) => count / DRAWS);
}

/** The probabilities by the definition of softmax. */
function softmax(logits: readonly number[], temperature: number): readonly number[] {
  const powers = logits.map((logit) => Math.exp(logit / temperature));
  return powers.map((power) => power / powers.reduce((sum, other) => sum + other, 0));
}

function largestDifference(found: readonly number[], expected: readonly number[]): number {
  return Math.max(...expected.map((share, token) => Math.abs((found[token] ?? 0) - share)));
}

test('tokens are drawn as often as the softmax over the temperature says', () => {
  const logits = [0.5, 2, -1, 1];
  for (const temperature of [0.5, 1, 4])
    expect(
      largestDifference(shares(Float32Array.from(logits), temperature), softmax(logits, temperature)),
    ).toBeLessThan(DIFFERENCE_MAX);
});

test('only from the most likely tokens, and those as likely as the last of them', () => {
  const [first = 0, second = 0] = softmax([2, 1], 1);
  expect(largestDifference(shares(Float32Array.of(0.5, 2, -1, 1), 1, 2), [0, first, 0, second])).toBeLessThan(
    DIFFERENCE_MAX,
  );
  expect(largestDifference(shares(Float32Array.of(1, 1, 1, 0), 1, 2), [1 / 3, 1 / 3, 1 / 3, 0])).toBeLessThan(
    DIFFERENCE_MAX,
  );
});

test('a temperature of 0, and one that is nearly 0, take the likeliest', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: -50, max: 50 }), { minLength: 1 }), (values) => {
      const logits = Float32Array.from(values);
      const best = values.indexOf(Math.max(...values));
      const random = () => 0.999_999;
      expect(drawToken(logits, { temperature: 0, topK: undefined, random })).toBe(best);
      expect(drawToken(logits, { temperature: 1e-9, topK: undefined, random })).toBe(best);
    }),
  );
});

test('a token that the model rules out is never drawn, and scores are read in each float type', () => {
  const ruled = [Number.NEGATIVE_INFINITY, 1, Number.NEGATIVE_INFINITY];
  for (const logits of [Float16Array.from(ruled), Float32Array.from(ruled), Float64Array.from(ruled)])
    for (const random of [0, 0.5, 0.999_999])
      expect(drawToken(logits, { temperature: 1, topK: 3, random: () => random })).toBe(1);
});

test.each([
  ['NaN', [0, Number.NaN]],
  ['infinity', [0, Number.POSITIVE_INFINITY]],
  ['nothing that is possible', [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]],
])('scores with %s are an error of the model', (_, values) => {
  const draw = () => drawToken(Float32Array.from(values), { temperature: 1, topK: undefined, random: () => 0 });
  expect(draw).toThrow(expect.objectContaining({ code: 'model-output-invalid' }));
});

import type { Tensor, Tensors } from '../../../src/contracts/inference.ts';
import type { FakeModel } from './fake-models.ts';

export type FakeDecoder = FakeModel & {
  /** Every text as it stood after a step: what the cache held, and what was read. */
  readonly texts: readonly (readonly number[])[];
};

/**
 * Counts on from the last token, modulo its vocabulary of ten. Its cache is the text that it has read, so that a step
 * that gets too little or too much of the text is detected.
 *
 * @param beforeStep Awaited before each step, with its number from 0.
 */
export function countingDecoder(
  name: string,
  options: {
    readonly maxTokens?: number;
    readonly endToken?: number;
    readonly beforeStep?: (step: number) => void | Promise<void>;
  } = {},
): FakeDecoder {
  const texts: (readonly number[])[] = [];
  const { maxTokens = 20, endToken, beforeStep } = options;
  return {
    name,
    version: 3,
    inputs: [
      { name: 'input_ids', type: 'int64', dims: [1, -1] },
      { name: 'position_ids', type: 'int64', dims: [1, -1] },
      { name: 'attention_mask', type: 'int32', dims: [1, -1] },
      { name: 'past_key_values.0', type: 'float32', dims: [-1, -1] },
    ],
    outputs: [
      { name: 'logits', type: 'float32', dims: [1, -1, 10] },
      { name: 'present.0', type: 'float32', dims: [-1, -1] },
    ],
    generation: {
      tokens: 'input_ids',
      logits: 'logits',
      past: 'past_key_values',
      present: 'present',
      maxTokens,
      endToken,
    },
    run: async (inputs) => {
      await beforeStep?.(texts.length);
      const past = numbers(inputs, 'past_key_values.0');
      const tokens = numbers(inputs, 'input_ids');
      const text = [...past, ...tokens];
      checkPlaces(inputs, past.length, text.length);
      texts.push(text);
      const logits = tokens.flatMap((token) =>
        Array.from({ length: 10 }, (_, other) => (other === (token + 1) % 10 ? 2 : 0)),
      );
      return { logits: floats([1, tokens.length, 10], logits), 'present.0': floats([1, text.length], text) };
    },
    texts,
  };
}

/** Writes the token 1 for as long as it is asked to; its cache stays empty, so that a long text costs no more than a short one. */
export function endlessDecoder(name: string): FakeModel {
  const { inputs, outputs, generation } = countingDecoder(name, { maxTokens: 1_000_000 });
  const logits = floats([1, 1, 10], [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  return {
    name,
    version: 3,
    inputs: inputs.filter((input) => /^(input_ids|past)/.test(input.name)),
    outputs,
    ...(generation === undefined ? {} : { generation }),
    run: () => ({ logits, 'present.0': floats([1, 0], []) }),
  };
}

function checkPlaces(inputs: Tensors, first: number, end: number): void {
  const positions = numbers(inputs, 'position_ids');
  const mask = numbers(inputs, 'attention_mask');
  if (positions[0] !== first || positions.at(-1) !== end - 1) throw new Error(`positions ${positions.join()}`);
  if (mask.length !== end || mask.some((bit) => bit !== 1)) throw new Error(`mask ${mask.join()}`);
}

function numbers(inputs: Tensors, name: string): readonly number[] {
  return Array.from<unknown, number>(inputs[name]?.data ?? [], Number);
}

function floats(dims: readonly number[], values: readonly number[]): Tensor {
  return { type: 'float32', dims, data: Float32Array.from(values) };
}

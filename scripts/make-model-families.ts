import { buildOnnx, type GraphInitializer } from '../test/support/onnx-builder.ts';

/*
 * Small models of the families that are commonly served, each a real ONNX graph with seeded weights. They are not trained;
 * the tests compare each with plain arithmetic (test/serving/v2/model-families.test.ts).
 */

/** Weights by name, for the reference computation. */
export type Weights = ReadonlyMap<string, { readonly dims: readonly number[]; readonly data: readonly number[] }>;
export type FamilyMember = { readonly bytes: Uint8Array; readonly weights: Weights };

export const gptShape = { vocabulary: 29, width: 16, heads: 2, layers: 2, positions: 64 } as const;
export const bagOfWords = ['pump', 'hot', 'leak', 'noise', 'ok', 'normal', 'vibration'] as const;

/** `y` = xA + b: x [n, 3], y [n, 1]. */
export function linearRegression(): FamilyMember {
  const { tensors, weights } = seeded(1, { A: [3, 1], b: [1] });
  const bytes = buildOnnx({
    inputs: [{ name: 'x', type: 'float32', dims: ['n', 3] }],
    outputs: [{ name: 'y', type: 'float32', dims: ['n', 1] }],
    initializers: tensors,
    nodes: [{ op: 'Gemm', inputs: ['x', 'A', 'b'], outputs: ['y'] }],
  });
  return { bytes, weights };
}

/** Two layers and a softmax: x [n, 6], probabilities [n, 3]. */
export function multiLayerPerceptron(): FamilyMember {
  const { tensors, weights } = seeded(2, { W1: [6, 12], b1: [12], W2: [12, 3], b2: [3] });
  const bytes = buildOnnx({
    inputs: [{ name: 'x', type: 'float32', dims: ['n', 6] }],
    outputs: [{ name: 'probabilities', type: 'float32', dims: ['n', 3] }],
    initializers: tensors,
    nodes: [
      { op: 'Gemm', inputs: ['x', 'W1', 'b1'], outputs: ['h'] },
      { op: 'Relu', inputs: ['h'], outputs: ['a'] },
      { op: 'Gemm', inputs: ['a', 'W2', 'b2'], outputs: ['z'] },
      { op: 'Softmax', inputs: ['z'], outputs: ['probabilities'], attributes: { axis: 1 } },
    ],
  });
  return { bytes, weights };
}

/** Counts words in a shift note, in upper or lower case: words string [1, n], probabilities [1, 2]. */
export function textClassifier(): FamilyMember {
  const size = bagOfWords.length;
  const { tensors, weights } = seeded(3, { W: [size, 2], b: [2] });
  const bytes = buildOnnx({
    inputs: [{ name: 'words', type: 'string', dims: [1, 'n'] }],
    outputs: [{ name: 'probabilities', type: 'float32', dims: [1, 2] }],
    initializers: tensors,
    nodes: [
      {
        op: 'StringNormalizer',
        inputs: ['words'],
        outputs: ['lower'],
        // Without a locale ONNX Runtime (1.30) asks the system for en_US.UTF-8, which small images lack.
        attributes: { case_change_action: { text: 'LOWER' }, is_case_sensitive: 1, locale: { text: 'C' } },
      },
      {
        op: 'TfIdfVectorizer',
        inputs: ['lower'],
        outputs: ['counts'],
        attributes: {
          mode: { text: 'TF' },
          min_gram_length: 1,
          max_gram_length: 1,
          max_skip_count: 0,
          ngram_counts: [0],
          ngram_indexes: Array.from({ length: size }, (_, index) => index),
          pool_strings: { texts: bagOfWords },
        },
      },
      { op: 'Gemm', inputs: ['counts', 'W', 'b'], outputs: ['z'] },
      { op: 'Softmax', inputs: ['z'], outputs: ['probabilities'], attributes: { axis: 1 } },
    ],
  });
  return { bytes, weights };
}

export const lstmShape = { vocabulary: 20, embedding: 5, hidden: 4, classes: 3 } as const;

/** An embedding, an LSTM and a softmax: ids int64 [n, steps], probabilities [n, 3]. */
export function recurrentClassifier(): FamilyMember {
  const { vocabulary, embedding, hidden, classes } = lstmShape;
  const { tensors, weights } = seeded(4, {
    E: [vocabulary, embedding],
    W: [1, 4 * hidden, embedding],
    R: [1, 4 * hidden, hidden],
    B: [1, 8 * hidden],
    W2: [hidden, classes],
    b2: [classes],
  });
  const bytes = buildOnnx({
    inputs: [{ name: 'ids', type: 'int64', dims: ['n', 'steps'] }],
    outputs: [{ name: 'probabilities', type: 'float32', dims: ['n', classes] }],
    initializers: [...tensors, integers('first', [0])],
    nodes: [
      { op: 'Gather', inputs: ['E', 'ids'], outputs: ['embedded'] },
      { op: 'Transpose', inputs: ['embedded'], outputs: ['sequence'], attributes: { perm: [1, 0, 2] } },
      { op: 'LSTM', inputs: ['sequence', 'W', 'R', 'B'], outputs: ['', 'last'], attributes: { hidden_size: hidden } },
      { op: 'Squeeze', inputs: ['last', 'first'], outputs: ['state'] },
      { op: 'Gemm', inputs: ['state', 'W2', 'b2'], outputs: ['z'] },
      { op: 'Softmax', inputs: ['z'], outputs: ['probabilities'], attributes: { axis: 1 } },
    ],
  });
  return { bytes, weights };
}

export const ganShape = { noise: 4, steps: 6, tags: 2, hidden: 10 } as const;

/** Creates a window: noise [n, 4], window [n, 6, 2] within -1 to 1. */
export function ganGenerator(): FamilyMember {
  const { noise, steps, tags, hidden } = ganShape;
  const { tensors, weights } = seeded(5, {
    W1: [noise, hidden],
    b1: [hidden],
    W2: [hidden, steps * tags],
    b2: [steps * tags],
  });
  const bytes = buildOnnx({
    inputs: [{ name: 'noise', type: 'float32', dims: ['n', noise] }],
    outputs: [{ name: 'window', type: 'float32', dims: ['n', steps, tags] }],
    initializers: [...tensors, integers('shape', [-1, steps, tags])],
    nodes: [
      { op: 'Gemm', inputs: ['noise', 'W1', 'b1'], outputs: ['h'] },
      { op: 'Relu', inputs: ['h'], outputs: ['a'] },
      { op: 'Gemm', inputs: ['a', 'W2', 'b2'], outputs: ['z'] },
      { op: 'Tanh', inputs: ['z'], outputs: ['flat'] },
      { op: 'Reshape', inputs: ['flat', 'shape'], outputs: ['window'] },
    ],
  });
  return { bytes, weights };
}

/** Difference of a window from normal running, 0 to 1, the score of a watch: window [n, 6, 2], score [n]. */
export function ganDiscriminator(): FamilyMember {
  const { steps, tags, hidden } = ganShape;
  const { tensors, weights } = seeded(6, { W1: [steps * tags, hidden], b1: [hidden], W2: [hidden, 1], b2: [1] });
  const bytes = buildOnnx({
    inputs: [{ name: 'window', type: 'float32', dims: ['n', steps, tags] }],
    outputs: [{ name: 'score', type: 'float32', dims: ['n'] }],
    initializers: [...tensors, integers('shape', [-1])],
    nodes: [
      { op: 'Flatten', inputs: ['window'], outputs: ['flat'], attributes: { axis: 1 } },
      { op: 'Gemm', inputs: ['flat', 'W1', 'b1'], outputs: ['h'] },
      { op: 'LeakyRelu', inputs: ['h'], outputs: ['a'], attributes: { alpha: { float: 0.2 } } },
      { op: 'Gemm', inputs: ['a', 'W2', 'b2'], outputs: ['z'] },
      { op: 'Neg', inputs: ['z'], outputs: ['unlike'] },
      { op: 'Sigmoid', inputs: ['unlike'], outputs: ['column'] },
      { op: 'Reshape', inputs: ['column', 'shape'], outputs: ['score'] },
    ],
  });
  return { bytes, weights };
}

type Node = Parameters<typeof buildOnnx>[0]['nodes'][number];

/**
 * A decoder in the form that exporters write: `input_ids` and `position_ids` int64 [1, tokens], `past_key_values.<layer>.key` and
 * `.value` [1, heads, past, width / heads] in; `logits` [1, tokens, vocabulary] and `present.<layer>.…` out.
 */
export function gptDecoder(): FamilyMember {
  const { vocabulary, width, heads, layers, positions } = gptShape;
  const head = width / heads;
  const { tensors, weights } = seeded(7, {
    tokens: [vocabulary, width],
    positions: [positions, width],
    ...Object.fromEntries(
      Array.from({ length: layers }, (_, layer) => [
        [`g1.${layer}`, [width]],
        [`q.${layer}`, [width, width]],
        [`k.${layer}`, [width, width]],
        [`v.${layer}`, [width, width]],
        [`o.${layer}`, [width, width]],
        [`g2.${layer}`, [width]],
        [`up.${layer}`, [width, 4 * width]],
        [`down.${layer}`, [4 * width, width]],
      ]).flat(),
    ),
    gain: [width],
    unembed: [width, vocabulary],
  });
  const cache = Array.from({ length: layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
  const bytes = buildOnnx({
    inputs: [
      { name: 'input_ids', type: 'int64', dims: [1, 'tokens'] },
      { name: 'position_ids', type: 'int64', dims: [1, 'tokens'] },
      ...cache.map(
        (name) => ({ name: `past_key_values.${name}`, type: 'float32', dims: [1, heads, 'past', head] }) as const,
      ),
    ],
    outputs: [
      { name: 'logits', type: 'float32', dims: [1, 'tokens', vocabulary] },
      ...cache.map((name) => ({ name: `present.${name}`, type: 'float32', dims: [1, heads, 'total', head] }) as const),
    ],
    initializers: [
      ...tensors,
      integers('split', [1, -1, heads, head]),
      integers('merged', [1, -1, width]),
      integers('last', [-1]),
      integers('none', [0]),
      { name: 'zero', type: 'int64', dims: [], data: [0] },
      { name: 'one', type: 'int64', dims: [], data: [1] },
      { name: 'two', type: 'int64', dims: [], data: [2] },
      { name: 'scale', type: 'float32', dims: [], data: [1 / Math.sqrt(head)] },
      { name: 'never', type: 'float32', dims: [], data: [-1e9] },
      { name: 'epsilon', type: 'float32', dims: [], data: [1e-5] },
    ],
    nodes: [
      { op: 'Gather', inputs: ['tokens', 'input_ids'], outputs: ['embedded'] },
      { op: 'Gather', inputs: ['positions', 'position_ids'], outputs: ['placed'] },
      { op: 'Add', inputs: ['embedded', 'placed'], outputs: ['x.0'] },
      ...maskNodes(),
      ...Array.from({ length: layers }, (_, layer) => layerNodes(layer)).flat(),
      ...norm(`x.${layers}`, 'gain', 'final'),
      { op: 'MatMul', inputs: ['final', 'unembed'], outputs: ['logits'] },
    ],
  });
  return { bytes, weights };
}

/** A position attends to itself and to earlier positions. */
function maskNodes(): readonly Node[] {
  return [
    { op: 'Shape', inputs: ['present.0.key'], outputs: ['cacheShape'] },
    { op: 'Gather', inputs: ['cacheShape', 'two'], outputs: ['total'] },
    { op: 'Range', inputs: ['zero', 'total', 'one'], outputs: ['keyPlaces'] },
    { op: 'Unsqueeze', inputs: ['position_ids', 'last'], outputs: ['queryPlaces'] },
    { op: 'Greater', inputs: ['keyPlaces', 'queryPlaces'], outputs: ['isLater'] },
  ];
}

function layerNodes(layer: number): readonly Node[] {
  const name = (part: string) => `${part}.${layer}`;
  const split = (part: string, perm: readonly number[]): readonly Node[] => [
    { op: 'MatMul', inputs: [name('n1'), name(part)], outputs: [name(`${part}Flat`)] },
    { op: 'Reshape', inputs: [name(`${part}Flat`), 'split'], outputs: [name(`${part}Split`)] },
    { op: 'Transpose', inputs: [name(`${part}Split`)], outputs: [name(`${part}Heads`)], attributes: { perm } },
  ];
  const past = (part: string) => `past_key_values.${layer}.${part}`;
  const present = (part: string) => `present.${layer}.${part}`;
  return [
    ...norm(name('x'), name('g1'), name('n1')),
    ...split('q', [0, 2, 1, 3]),
    ...split('k', [0, 2, 1, 3]),
    ...split('v', [0, 2, 1, 3]),
    { op: 'Concat', inputs: [past('key'), name('kHeads')], outputs: [present('key')], attributes: { axis: 2 } },
    { op: 'Concat', inputs: [past('value'), name('vHeads')], outputs: [present('value')], attributes: { axis: 2 } },
    { op: 'Transpose', inputs: [present('key')], outputs: [name('kTurned')], attributes: { perm: [0, 1, 3, 2] } },
    { op: 'MatMul', inputs: [name('qHeads'), name('kTurned')], outputs: [name('raw')] },
    { op: 'Mul', inputs: [name('raw'), 'scale'], outputs: [name('scaled')] },
    { op: 'Where', inputs: ['isLater', 'never', name('scaled')], outputs: [name('masked')] },
    { op: 'Softmax', inputs: [name('masked')], outputs: [name('attention')], attributes: { axis: -1 } },
    { op: 'MatMul', inputs: [name('attention'), present('value')], outputs: [name('seen')] },
    { op: 'Transpose', inputs: [name('seen')], outputs: [name('seenTurned')], attributes: { perm: [0, 2, 1, 3] } },
    { op: 'Reshape', inputs: [name('seenTurned'), 'merged'], outputs: [name('seenMerged')] },
    { op: 'MatMul', inputs: [name('seenMerged'), name('o')], outputs: [name('attended')] },
    { op: 'Add', inputs: [name('x'), name('attended')], outputs: [name('y')] },
    ...norm(name('y'), name('g2'), name('n2')),
    { op: 'MatMul', inputs: [name('n2'), name('up')], outputs: [name('wide')] },
    { op: 'Relu', inputs: [name('wide')], outputs: [name('active')] },
    { op: 'MatMul', inputs: [name('active'), name('down')], outputs: [name('narrow')] },
    { op: 'Add', inputs: [name('y'), name('narrow')], outputs: [`x.${layer + 1}`] },
  ];
}

/** Layer normalization without offset, from nodes of opset 13. */
function norm(from: string, gain: string, to: string): readonly Node[] {
  const mean = { axes: [-1], keepdims: 1 };
  return [
    { op: 'ReduceMean', inputs: [from], outputs: [`${to}.mean`], attributes: mean },
    { op: 'Sub', inputs: [from, `${to}.mean`], outputs: [`${to}.centred`] },
    { op: 'Mul', inputs: [`${to}.centred`, `${to}.centred`], outputs: [`${to}.squared`] },
    { op: 'ReduceMean', inputs: [`${to}.squared`], outputs: [`${to}.variance`], attributes: mean },
    { op: 'Add', inputs: [`${to}.variance`, 'epsilon'], outputs: [`${to}.safe`] },
    { op: 'Sqrt', inputs: [`${to}.safe`], outputs: [`${to}.deviation`] },
    { op: 'Div', inputs: [`${to}.centred`, `${to}.deviation`], outputs: [`${to}.normal`] },
    { op: 'Mul', inputs: [`${to}.normal`, gain], outputs: [to] },
  ];
}

function integers(name: string, data: readonly number[]): GraphInitializer {
  return { name, type: 'int64', dims: [data.length], data };
}

/** Returns float32 values from -0.7 to 0.7, the same for the same seed (a linear congruential generator, Numerical Recipes). */
function seeded(
  seed: number,
  shapes: Readonly<Record<string, readonly number[]>>,
): { readonly tensors: readonly GraphInitializer[]; readonly weights: Weights } {
  let state = seed;
  const draw = () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return Math.fround((state / 4_294_967_296 - 0.5) * 1.4);
  };
  const tensors = Object.entries(shapes).map(([name, dims]) => {
    const data = Array.from({ length: dims.reduce((product, size) => product * size, 1) }, draw);
    return { name, type: 'float32', dims, data } as const;
  });
  return { tensors, weights: new Map(tensors.map(({ name, dims, data }) => [name, { dims, data }])) };
}

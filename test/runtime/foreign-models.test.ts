import onnxProto from 'onnx-proto';
import { describe, expect, test } from 'vitest';
import type { TensorType } from '../../src/contracts/inference.ts';
import { buildOnnx, type GraphDefinition } from '../support/onnx-builder.ts';
import type { TestModel } from '../support/onnx-directory.ts';
import { HostHarness, model } from '../support/onnx-host-harness.ts';
import { scoresOf } from '../support/window-judge.ts';

/*
 * Graphs as other tools export them: names, types and shapes of their own. What can judge a window does; what cannot is
 * refused with what was found, what was expected, and the key of model.yaml that helps.
 */
type Dims = readonly (number | string)[];

/** Sum over the last axis, or over all values of a row. */
function sumGraph(input: { dims: Dims; type?: TensorType }, output: Dims, axes: readonly number[]): Uint8Array {
  const type = input.type ?? 'float32';
  return buildOnnx({
    inputs: [{ name: 'X', type, dims: input.dims }],
    outputs: [{ name: 'scores', type, dims: output }],
    initializers: [{ name: 'axes', type: 'int64', dims: [axes.length], data: axes }],
    nodes: [
      {
        op: 'ReduceSum',
        inputs: ['X', 'axes'],
        outputs: ['scores'],
        attributes: { keepdims: axes.length === 1 ? 1 : 0 },
      },
    ],
  });
}

/** Gives the window back, times a factor. */
function scaled(dims: Dims, output: Dims, factor: number): Uint8Array {
  const graph: GraphDefinition = {
    inputs: [{ name: 'X', type: 'float32', dims }],
    outputs: [{ name: 'scores', type: 'float32', dims: output }],
    initializers: [{ name: 'factor', type: 'float32', dims: [1], data: [factor] }],
    nodes: [{ op: 'Mul', inputs: ['X', 'factor'], outputs: ['scores'] }],
  };
  return buildOnnx(graph);
}

function foreign(
  bytes: Uint8Array,
  shape: { steps: number; tags: number; flat?: boolean },
  golden: { window: readonly number[]; scores: readonly number[] },
  output: Readonly<Record<string, unknown>> = {},
): TestModel {
  const { steps, tags, flat } = shape;
  return {
    name: 'foreign',
    bytes,
    steps,
    tags,
    golden: [],
    manifest: {
      input: 'X',
      window: { steps, ...(flat === undefined ? {} : { flat }) },
      output: { name: 'scores', ...output },
      golden: [{ inputs: { X: golden.window }, outputs: { scores: golden.scores } }],
    },
  };
}

const row = [0.5, -0.25, 1];
const three = { steps: 1, tags: 3 };

async function refusal(broken: TestModel): Promise<string | undefined> {
  await using harness = new HostHarness([broken]);
  return (await harness.state('foreign', 'failed')).reason;
}

async function judged(sound: TestModel, windows: readonly (readonly number[])[]): Promise<readonly number[]> {
  await using harness = new HostHarness([sound]);
  await harness.ready('foreign');
  return await scoresOf(harness, 'foreign', sound.steps, windows);
}

describe('a graph judges windows', () => {
  test('of one row, as [batch, tags]', async () => {
    const bytes = sumGraph({ dims: ['batch', 3] }, ['batch', 1], [1]);
    const sound = foreign(bytes, three, { window: row, scores: [1.25] });
    expect(await judged(sound, [row, [1, 2, 3]])).toEqual([1.25, 6]);
  });

  test.each([
    [2, 3, ['N', 1, 2, 3]],
    [2, 3, ['N', 2, 3, 1]],
    [6, 1, ['N', 6]],
    [6, 1, ['N', 1, 6]],
    [1, 6, ['N', 6, 1]],
    [1, 6, [4, 1, 1, 6]],
    [2, 3, ['N', 'steps', 3]],
  ] as const)('of %s rows of %s tags as %j: the same values in the same order', async (steps, tags, dims) => {
    const window = [1, 2, 3, 4, 5, 6];
    const bytes = buildOnnx({
      inputs: [{ name: 'X', type: 'float32', dims }],
      outputs: [{ name: 'scores', type: 'float32', dims: [dims[0]] }],
      initializers: [
        { name: 'flat', type: 'int64', dims: [2], data: [-1, 6] },
        { name: 'factors', type: 'float32', dims: [6], data: [1, 10, 100, 1000, 10_000, 100_000] },
        { name: 'axes', type: 'int64', dims: [1], data: [1] },
      ],
      nodes: [
        { op: 'Reshape', inputs: ['X', 'flat'], outputs: ['row'] },
        { op: 'Mul', inputs: ['row', 'factors'], outputs: ['digits'] },
        { op: 'ReduceSum', inputs: ['digits', 'axes'], outputs: ['scores'], attributes: { keepdims: 0 } },
      ],
    });
    const sound = foreign(bytes, { steps, tags }, { window, scores: [654_321] });
    expect(await judged(sound, [window, [6, 5, 4, 3, 2, 1]])).toEqual([654_321, 123_456]);
  });

  test('joined to one row, if the manifest asks for it', async () => {
    const bytes = sumGraph({ dims: [-1, 6].map((size) => (size === -1 ? 'N' : size)) }, ['N', 1], [1]);
    const golden = { window: [1, 2, 3, 4, 5, 6], scores: [21] };
    const windows = [
      [1, 2, 3, 4, 5, 6],
      [0, 0, 0, 0, 0, 7],
    ];
    expect(await judged(foreign(bytes, { steps: 2, tags: 3, flat: true }, golden), windows)).toEqual([21, 7]);
    expect(await refusal(foreign(bytes, { steps: 2, tags: 3 }, golden))).toMatch(
      /takes 'X' as \[\?, 6\], expected \[\?, 2, 3\].*set window: \{ steps: 2, flat: true \}/,
    );
  });

  test.each(['float64', 'float16'] as const)('as %s', async (type) => {
    const bytes = sumGraph({ dims: ['batch', 3], type }, ['batch', 1], [1]);
    expect(await judged(foreign(bytes, three, { window: row, scores: [1.25] }), [row])).toEqual([1.25]);
  });

  test.each([1, 8])('in a fixed batch of %s, row by row', async (batch) => {
    const bytes = sumGraph({ dims: [batch, 1, 3] }, [batch], [1, 2]);
    const sound = foreign(bytes, three, { window: row, scores: [1.25] });
    expect(await judged(sound, [row, [1, 2, 3], [4, 5, 6]])).toEqual([1.25, 6, 15]);
  });
});

describe('several values for a window', () => {
  const golden = { window: row, scores: [1, -0.5, 2] };

  test('are refused with the shape and the options', async () => {
    const reason = await refusal(foreign(scaled(['N', 3], ['N', 3], 2), three, golden));
    expect(reason).toMatch(/gives 'scores' as \[\?, 3\], 3 values for each window, expected one/);
    expect(reason).toMatch(/output: \{ name, column, reduce \}: column 0 to 2/);
  });

  test('are refused too if the graph declares an open shape', async () => {
    const reason = await refusal(foreign(scaled(['N', 'K'], ['N', 'K'], 2), three, golden));
    expect(reason).toMatch(/gives 'scores' as \[\?, 3\], 3 values for each window/);
  });

  test.each([
    [{ column: 1 }, [-0.5, 4]],
    [{ reduce: 'max' }, [2, 6]],
    [{ reduce: 'min' }, [-0.5, 2]],
    [{ reduce: 'sum' }, [2.5, 12]],
    [{ reduce: 'mean' }, [2.5 / 3, 4]],
    [{ reduce: 'mse' }, [(0.25 + 0.0625 + 1) / 3, 14 / 3]],
  ])('become one score by %j', async (output, expected) => {
    const scores = await judged(foreign(scaled(['N', 3], ['N', 3], 2), three, golden, output), [row, [1, 2, 3]]);
    expect(scores.map((score, index) => Math.abs(score - (expected[index] ?? 0)))).toSatisfy((gaps: number[]) =>
      gaps.every((gap) => gap < 1e-6),
    );
  });

  test('of which a column is named that is not there, are refused', async () => {
    const reason = await refusal(foreign(scaled(['N', 3], ['N', 3], 2), three, golden, { column: 3 }));
    expect(reason).toMatch(/has no column 3\. Set output\.column in model\.yaml to 0 to 2/);
  });

  test('a reconstruction of other size than the window is refused', async () => {
    const bytes = sumGraph({ dims: ['N', 3] }, ['N', 1], [1]);
    const reason = await refusal(foreign(bytes, three, { window: row, scores: [1.25] }, { reduce: 'mse' }));
    expect(reason).toMatch(/1 values for each window, but output\.reduce: mse compares it with the 3 values/);
  });
});

describe('a graph that cannot judge windows is refused with what to set or export', () => {
  test('one input for each column', async () => {
    const bytes = buildOnnx({
      inputs: [
        { name: 'speed', type: 'float32', dims: ['N', 1] },
        { name: 'grade', type: 'string', dims: ['N', 1] },
      ],
      outputs: [{ name: 'scores', type: 'float32', dims: ['N', 1] }],
      nodes: [{ op: 'Identity', inputs: ['speed'], outputs: ['scores'] }],
    });
    const reason = await refusal(foreign(bytes, three, { window: row, scores: [1] }));
    expect(reason).toMatch(/has 2 inputs, 'speed', 'grade', expected 'X' only.*task: other/);
  });

  test('the tags before the steps', async () => {
    const bytes = sumGraph({ dims: ['N', 3, 2] }, ['N'], [1, 2]);
    expect(await refusal(foreign(bytes, { steps: 2, tags: 3 }, { window: [1, 2, 3, 4, 5, 6], scores: [21] }))).toMatch(
      /takes 'X' as \[\?, 3, 2\], expected \[\?, 2, 3\].*transpose its input/,
    );
  });

  test('one row of a longer window', async () => {
    const bytes = sumGraph({ dims: ['N', 3] }, ['N', 1], [1]);
    expect(await refusal(foreign(bytes, { steps: 2, tags: 3 }, { window: [1, 2, 3, 4, 5, 6], scores: [6] }))).toMatch(
      /takes 'X' as \[\?, 3\], expected \[\?, 2, 3\].*set window: \{ steps: 1 \}/,
    );
  });

  test.each<[string, Dims, { steps: number; tags: number; flat?: boolean }, RegExp]>([
    [
      'no batch',
      [2, 3],
      { steps: 2, tags: 3 },
      /takes 'X' as \[2, 3\], expected \[\?, 2, 3\].*no dimension for the batch: export it with an input of the shape \[1, 2, 3\], or, if it judges 2 single rows, set window: \{ steps: 1 \}/,
    ],
    [
      'no batch, with the rows joined',
      [6],
      { steps: 2, tags: 3, flat: true },
      /takes 'X' as \[6\], expected \[\?, 6\].*export it with an input of the shape \[1, 6\]/,
    ],
    [
      'a batch of 0',
      [0, 2, 3],
      { steps: 2, tags: 3 },
      /takes 'X' as \[0, 2, 3\], expected \[\?, 2, 3\]: a dimension of 0 has no values\. Export the graph with a dynamic batch/,
    ],
    [
      'other steps',
      ['N', 5, 3],
      { steps: 2, tags: 3 },
      /takes 'X' as \[\?, 5, 3\], expected \[\?, 2, 3\].*or set window\.steps and tags in model\.yaml to those of the graph/,
    ],
  ])('%s', async (_what, dims, shape, message) => {
    const bytes = sumGraph(
      { dims },
      [1],
      dims.map((_, axis) => axis),
    );
    expect(await refusal(foreign(bytes, shape, { window: [1, 2, 3, 4, 5, 6], scores: [21] }))).toMatch(message);
  });

  test('other names', async () => {
    const bytes = sumGraph({ dims: ['N', 3] }, ['N', 1], [1]);
    const sound = foreign(bytes, three, { window: row, scores: [1.25] });
    const golden = [{ inputs: { window: row }, outputs: { scores: [1.25] } }];
    expect(await refusal({ ...sound, manifest: { ...sound.manifest, input: 'window', golden } })).toMatch(
      /has inputs 'X', expected 'window' only\. Set input: in model\.yaml/,
    );
    expect(await refusal({ ...sound, manifest: { ...sound.manifest, input: 'window' } })).toMatch(
      /the golden vector has 'X', but input is 'window'/,
    );
    expect(await refusal({ ...sound, manifest: { ...sound.manifest, output: {} } })).toMatch(
      /has outputs 'scores', but no 'score'\. Set output: \{ name \} in model\.yaml/,
    );
  });

  test('a sequence of maps, as ZipMap gives it', async () => {
    const { onnx } = onnxProto;
    const { FLOAT } = onnx.TensorProto.DataType;
    const tensorType = { elemType: FLOAT, shape: { dim: [{ dimParam: 'N' }, { dimValue: 3 }] } };
    const proto = onnx.ModelProto.create({
      irVersion: 8,
      opsetImport: [{ domain: '', version: 13 }],
      graph: {
        name: 'zipped',
        node: [{ name: 'zip', opType: 'SequenceConstruct', input: ['X'], output: ['output_probability'] }],
        input: [{ name: 'X', type: { tensorType } }],
        output: [{ name: 'output_probability', type: { sequenceType: { elemType: { tensorType } } } }],
      },
    });
    const bytes = onnx.ModelProto.encode(proto).finish();
    const reason = await refusal(foreign(bytes, three, { window: row, scores: [1] }));
    expect(reason).toMatch(/'output_probability' is not a tensor.*'zipmap': False.*zipmap=False/);
  });
});

test('a text model with the default locale is served on a machine that lacks it', async () => {
  await using harness = new HostHarness([]);
  harness.directory.addGraph({
    name: 'text',
    bytes: buildOnnx({
      inputs: [{ name: 'x', type: 'string', dims: ['N'] }],
      outputs: [{ name: 'y', type: 'string', dims: ['N'] }],
      nodes: [
        {
          op: 'StringNormalizer',
          inputs: ['x'],
          outputs: ['y'],
          attributes: { case_change_action: { text: 'LOWER' }, is_case_sensitive: 1 },
        },
      ],
    }),
    golden: [{ inputs: { x: ['ÜBER'] }, outputs: { y: ['über'] } }],
  });
  await harness.host.clients.load(model('text'));
  const { outputs } = await harness.host.clients.run(model('text'), {
    x: { type: 'string', dims: [2], data: ['Ä', 'Straße'] },
  });
  expect(outputs['y']?.data).toEqual(['ä', 'straße']);
});

import { buildOnnx, type GraphInitializer } from './onnx-builder.ts';

/** `score` = mean over steps and tags of the window; `[batch, steps, tags]` → `[batch]`. */
export function meanModel(steps: number, tags: number, batch: number | 'batch' = 'batch'): Uint8Array {
  return buildOnnx({
    inputs: [{ name: 'window', type: 'float32', dims: [batch, steps, tags] }],
    outputs: [{ name: 'score', type: 'float32', dims: [batch] }],
    nodes: [{ op: 'ReduceMean', inputs: ['window'], outputs: ['score'], attributes: { axes: [1, 2], keepdims: 0 } }],
  });
}

/** A reconstruction by two layers, scored by its mean squared error: what `andon train` and the zoo's models look like. */
export function autoencoderModel(steps: number, tags: number, hidden: number, seed = 1): Uint8Array {
  const width = steps * tags;
  return buildOnnx({
    inputs: [{ name: 'window', type: 'float32', dims: ['batch', steps, tags] }],
    outputs: [{ name: 'score', type: 'float32', dims: ['batch'] }],
    initializers: [
      weights('w1', [width, hidden], seed),
      weights('b1', [hidden], seed + 1),
      weights('w2', [hidden, width], seed + 2),
      weights('b2', [width], seed + 3),
    ],
    nodes: [
      { op: 'Flatten', inputs: ['window'], outputs: ['flat'], attributes: { axis: 1 } },
      { op: 'Gemm', inputs: ['flat', 'w1', 'b1'], outputs: ['h'] },
      { op: 'Tanh', inputs: ['h'], outputs: ['code'] },
      { op: 'Gemm', inputs: ['code', 'w2', 'b2'], outputs: ['rebuilt'] },
      { op: 'Sub', inputs: ['flat', 'rebuilt'], outputs: ['residual'] },
      { op: 'Mul', inputs: ['residual', 'residual'], outputs: ['squared'] },
      { op: 'ReduceMean', inputs: ['squared'], outputs: ['score'], attributes: { axes: [1], keepdims: 0 } },
    ],
  });
}

/** Takes its batch size from `Shape`, as exporters write it: such nodes run on the CPU with every provider. */
export function shapeOpsModel(steps: number, tags: number): Uint8Array {
  return buildOnnx({
    inputs: [{ name: 'window', type: 'float32', dims: ['batch', steps, tags] }],
    outputs: [{ name: 'score', type: 'float32', dims: ['batch'] }],
    initializers: [
      { name: 'zero', type: 'int64', dims: [1], data: [0] },
      { name: 'rest', type: 'int64', dims: [1], data: [-1] },
    ],
    nodes: [
      { op: 'Shape', inputs: ['window'], outputs: ['shape'] },
      { op: 'Gather', inputs: ['shape', 'zero'], outputs: ['size'] },
      { op: 'Concat', inputs: ['size', 'rest'], outputs: ['flat-shape'], attributes: { axis: 0 } },
      { op: 'Reshape', inputs: ['window', 'flat-shape'], outputs: ['flat'] },
      { op: 'ReduceMean', inputs: ['flat'], outputs: ['score'], attributes: { axes: [1], keepdims: 0 } },
    ],
  });
}

/** Counts to its one value in a `Loop`: `[1, 1, 1]` → `[1]`. A billion keeps `session.run` busy for minutes. */
export function loopModel(): Uint8Array {
  return buildOnnx({
    inputs: [{ name: 'window', type: 'float32', dims: [1, 1, 1] }],
    outputs: [{ name: 'score', type: 'float32', dims: [1] }],
    initializers: [
      { name: 'scalar', type: 'int64', dims: [0], data: [] },
      { name: 'forever', type: 'bool', dims: [], data: [1] },
      { name: 'zero', type: 'float32', dims: [1], data: [0] },
    ],
    nodes: [
      { op: 'Reshape', inputs: ['window', 'scalar'], outputs: ['count'] },
      { op: 'Cast', inputs: ['count'], outputs: ['trips'], attributes: { to: 7 } },
      {
        op: 'Loop',
        inputs: ['trips', 'forever', 'zero'],
        outputs: ['score'],
        attributes: {
          body: {
            inputs: [
              { name: 'i', type: 'int64', dims: [] },
              { name: 'go-in', type: 'bool', dims: [] },
              { name: 'sum-in', type: 'float32', dims: [1] },
            ],
            outputs: [
              { name: 'go-out', type: 'bool', dims: [] },
              { name: 'sum-out', type: 'float32', dims: [1] },
            ],
            initializers: [{ name: 'one', type: 'float32', dims: [1], data: [1] }],
            nodes: [
              { op: 'Identity', inputs: ['go-in'], outputs: ['go-out'] },
              { op: 'Add', inputs: ['sum-in', 'one'], outputs: ['sum-out'] },
            ],
          },
        },
      },
    ],
  });
}

/** Any graph: `y` = 2x, `[batch, 2]` → `[batch, 2]`. */
export function twiceModel(): Uint8Array {
  return buildOnnx({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 2] }],
    outputs: [{ name: 'y', type: 'float32', dims: ['batch', 2] }],
    nodes: [{ op: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
  });
}

/** Square root of each row's mean: NaN for a negative window. */
export function rootModel(): Uint8Array {
  return buildOnnx({
    inputs: [{ name: 'window', type: 'float32', dims: ['batch', 1, 1] }],
    outputs: [{ name: 'score', type: 'float32', dims: ['batch'] }],
    nodes: [
      { op: 'ReduceMean', inputs: ['window'], outputs: ['mean'], attributes: { axes: [1, 2], keepdims: 0 } },
      { op: 'Sqrt', inputs: ['mean'], outputs: ['score'] },
    ],
  });
}

/** Mean over the batch as well: right for one row, wrong for each of several. */
export function batchMixingModel(): Uint8Array {
  return buildOnnx({
    inputs: [{ name: 'window', type: 'float32', dims: ['batch', 1, 1] }],
    outputs: [{ name: 'score', type: 'float32', dims: ['batch'] }],
    initializers: [{ name: 'zero', type: 'float32', dims: [1], data: [0] }],
    nodes: [
      { op: 'ReduceMean', inputs: ['window'], outputs: ['mean'], attributes: { axes: [0, 1, 2], keepdims: 0 } },
      { op: 'ReduceMean', inputs: ['window'], outputs: ['own'], attributes: { axes: [1, 2], keepdims: 0 } },
      { op: 'Mul', inputs: ['own', 'zero'], outputs: ['nothing'] },
      { op: 'Add', inputs: ['mean', 'nothing'], outputs: ['score'] },
    ],
  });
}

/** Spreads its one value over as many floats as it says, and takes their mean: memory on demand. */
export function hungryModel(): Uint8Array {
  return buildOnnx({
    inputs: [{ name: 'window', type: 'float32', dims: [1, 1, 1] }],
    outputs: [{ name: 'score', type: 'float32', dims: [1] }],
    initializers: [{ name: 'vector', type: 'int64', dims: [1], data: [1] }],
    nodes: [
      { op: 'Reshape', inputs: ['window', 'vector'], outputs: ['value'] },
      { op: 'Cast', inputs: ['value'], outputs: ['size'], attributes: { to: 7 } },
      { op: 'Expand', inputs: ['value', 'size'], outputs: ['spread'] },
      { op: 'ReduceMean', inputs: ['spread'], outputs: ['score'], attributes: { axes: [0], keepdims: 1 } },
    ],
  });
}

/** The mean of the window, and 0 times one of many weights: slow to load, quick to run. */
export function heavyModel(megabytes: number): Uint8Array {
  const rows = (megabytes * 1_000_000) / 400;
  return buildOnnx({
    inputs: [{ name: 'window', type: 'float32', dims: ['batch', 1, 1] }],
    outputs: [{ name: 'score', type: 'float32', dims: ['batch'] }],
    initializers: [
      { name: 'weights', type: 'float32', dims: [rows, 100], data: [], raw: new Uint8Array(rows * 400) },
      { name: 'zero', type: 'float32', dims: [1], data: [0] },
    ],
    nodes: [
      { op: 'ReduceMean', inputs: ['window'], outputs: ['mean'], attributes: { axes: [1, 2], keepdims: 0 } },
      { op: 'Mul', inputs: ['mean', 'zero'], outputs: ['nothing'] },
      { op: 'Cast', inputs: ['nothing'], outputs: ['row'], attributes: { to: 7 } },
      { op: 'Gather', inputs: ['weights', 'row'], outputs: ['some'], attributes: { axis: 0 } },
      { op: 'ReduceMean', inputs: ['some'], outputs: ['weight'], attributes: { axes: [1], keepdims: 0 } },
      { op: 'Add', inputs: ['mean', 'weight'], outputs: ['score'] },
    ],
  });
}

/** Small numbers, the same for the same seed (a linear congruential generator, Numerical Recipes). */
function weights(name: string, dims: readonly number[], seed: number): GraphInitializer {
  let state = seed;
  const data = Array.from({ length: dims.reduce((product, size) => product * size, 1) }, () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296 - 0.5;
  });
  return { name, type: 'float32', dims, data };
}

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { OnnxGraph } from '../src/training/graph/onnx-graph.ts';
import { MODEL, WATCHED_TAGS } from './workload.ts';

/** Sizes of the layers of a small autoencoder, typical for the measurements of one machine. */
const LAYERS = [WATCHED_TAGS, 16, 8, 16, WATCHED_TAGS];
/** Above every counter, so that the alarm is evaluated with each verdict and never raised. */
const THRESHOLD = 1e9;

/**
 * Writes the model of the bench into a model directory, as the active version.
 *
 * It computes an autoencoder and returns the first tag plus 0 times the reconstruction error: the score identifies the
 * state of the plant.
 *
 * @returns Path of the graph.
 */
export function writeBenchModel(directory: string, version = 1): string {
  const folder = join(directory, MODEL, String(version));
  mkdirSync(folder, { recursive: true });
  const graph = benchGraph();
  const zeros = Array.from({ length: WATCHED_TAGS }, () => 0);
  const manifest = {
    name: MODEL,
    version,
    task: 'anomaly',
    sha256: createHash('sha256').update(graph).digest('hex'),
    tags: zeros.map((_, index) => ({ name: `t${index}` })),
    window: { steps: 1 },
    threshold: THRESHOLD,
    golden: [{ inputs: { window: zeros.with(0, 7) }, outputs: { score: [7] } }],
  };
  const file = join(folder, 'model.onnx');
  writeFileSync(file, graph);
  writeFileSync(join(folder, 'model.yaml'), stringify(manifest, { aliasDuplicateObjects: false }));
  writeFileSync(join(directory, MODEL, 'active'), `${version}\n`);
  return file;
}

function benchGraph(): Uint8Array {
  const graph = new OnnxGraph(MODEL);
  const window = graph.input('window', ['batch', 1, WATCHED_TAGS]);
  const row = graph.node('Reshape', 'row', [window, graph.integers('row-shape', [-1, WATCHED_TAGS])]);
  let layer = row;
  for (const [index, size] of LAYERS.slice(1).entries()) {
    const inputs = LAYERS[index] ?? 0;
    // The weights do not matter: the cost of a run depends on their number only.
    const weights = Array.from({ length: inputs * size }, (_, at) => Math.sin(at + 1) / inputs);
    const sum = graph.node('MatMul', `sum-${index}`, [
      layer,
      graph.floats(`weights-${index}`, [inputs, size], weights),
    ]);
    const last = index === LAYERS.length - 2;
    layer = last ? sum : graph.node('Tanh', `layer-${index}`, [sum]);
  }
  const difference = graph.node('Sub', 'difference', [row, layer]);
  const squares = graph.node('Mul', 'squares', [difference, difference]);
  const error = graph.node('ReduceMean', 'error', [squares], { axes: [1], keepdims: 0 });
  const nothing = graph.node('Mul', 'nothing', [error, graph.floats('zero', [1], [0])]);
  const first = graph.node('Gather', 'first', [row, graph.integers('first-index', [0])], { axis: 1 });
  const flat = graph.node('Reshape', 'first-flat', [first, graph.integers('flat-shape', [-1])]);
  graph.output('score', graph.node('Add', 'sum', [flat, nothing]), ['batch']);
  return graph.bytes();
}

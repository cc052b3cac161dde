import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { OnnxGraph } from '../src/training/graph/onnx-graph.ts';

/** The same graph under two names: the first batches rows of several requests in one run, the second never does. */
export const WIDE_MODEL = 'bench-wide';
export const WIDE_MODEL_ALONE = 'bench-wide-alone';

export const WIDE_COLUMNS = 32;
const OUTPUTS = 8;
/** The weights take 34 MB: one row waits for them to arrive from memory, and 32 rows share that wait. */
const LAYERS = [WIDE_COLUMNS, 2048, 2048, 2048, OUTPUTS];

/**
 * Writes both into a model directory.
 *
 * @returns Path of the graph.
 */
export function writeWideModels(directory: string): string {
  const graph = wideGraph();
  const manifest = {
    version: 1,
    task: 'other',
    sha256: createHash('sha256').update(graph).digest('hex'),
    // Without a golden vector the agent cannot prove that rows do not mix, and would run each request alone.
    golden: [{ inputs: { window: zeros(WIDE_COLUMNS) }, outputs: { score: zeros(OUTPUTS) } }],
  };
  for (const name of [WIDE_MODEL, WIDE_MODEL_ALONE]) {
    const folder = join(directory, name, '1');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'model.onnx'), graph);
    writeFileSync(join(folder, 'model.yaml'), stringify({ name, ...manifest }, { aliasDuplicateObjects: false }));
    writeFileSync(join(directory, name, 'active'), '1\n');
  }
  return join(directory, WIDE_MODEL, '1', 'model.onnx');
}

function wideGraph(): Uint8Array {
  const graph = new OnnxGraph(WIDE_MODEL);
  let layer = graph.input('window', ['batch', WIDE_COLUMNS]);
  for (const [index, columns] of LAYERS.slice(1).entries()) {
    const inputs = LAYERS[index] ?? 0;
    // The weights do not matter: the cost of a run depends on their number only.
    const weights = Float32Array.from({ length: inputs * columns }, (_, at) => Math.sin(at + 1) / inputs);
    const sum = graph.node('MatMul', `sum-${index}`, [
      layer,
      graph.floats(`weights-${index}`, [inputs, columns], weights),
    ]);
    layer = graph.node('Tanh', `layer-${index}`, [sum]);
  }
  graph.output('score', layer, ['batch', OUTPUTS]);
  return graph.bytes();
}

function zeros(length: number): readonly number[] {
  return Array.from({ length }, () => 0);
}

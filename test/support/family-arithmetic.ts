import { bagOfWords, ganShape, gptShape, lstmShape, type Weights } from '../../scripts/make-model-families.ts';

/*
 * What the graphs of the families compute, as plain arithmetic on plain arrays: written from the formulas, sharing
 * nothing with the graphs but their weights.
 */

type Vector = readonly number[];
type Matrix = readonly Vector[];

export function linear(weights: Weights, x: Vector): Vector {
  return add(times(x, matrix(weights, 'A')), flat(weights, 'b'));
}

export function perceptron(weights: Weights, x: Vector): Vector {
  const hidden = add(times(x, matrix(weights, 'W1')), flat(weights, 'b1')).map(relu);
  return softmax(add(times(hidden, matrix(weights, 'W2')), flat(weights, 'b2')));
}

export function wordCounts(weights: Weights, words: readonly string[]): Vector {
  const counts = bagOfWords.map((word) => words.filter((other) => other.toLowerCase() === word).length);
  return softmax(add(times(counts, matrix(weights, 'W')), flat(weights, 'b')));
}

/** @see https://onnx.ai/onnx/operators/onnx__LSTM.html: gates in the order input, output, forget, cell. */
export function recurrent(weights: Weights, ids: Vector): Vector {
  const { hidden, embedding } = lstmShape;
  const B = flat(weights, 'B');
  const W = rows(flat(weights, 'W'), embedding);
  const R = rows(flat(weights, 'R'), hidden);
  const embeddings = matrix(weights, 'E');
  let h: Vector = Array.from({ length: hidden }, () => 0);
  let c = h;
  for (const id of ids) {
    const x = embeddings[id] ?? [];
    const z = W.map((row, gate) => dot(row, x) + dot(R[gate] ?? [], h) + (B[gate] ?? 0) + (B[4 * hidden + gate] ?? 0));
    const gate = (place: number) => z.slice(place * hidden, (place + 1) * hidden);
    const [i, o, f] = [gate(0).map(sigmoid), gate(1).map(sigmoid), gate(2).map(sigmoid)];
    const candidate = gate(3).map(Math.tanh);
    c = c.map((value, unit) => (f[unit] ?? 0) * value + (i[unit] ?? 0) * (candidate[unit] ?? 0));
    h = c.map((value, unit) => (o[unit] ?? 0) * Math.tanh(value));
  }
  return softmax(add(times(h, matrix(weights, 'W2')), flat(weights, 'b2')));
}

export function generated(weights: Weights, noise: Vector): Vector {
  const hidden = add(times(noise, matrix(weights, 'W1')), flat(weights, 'b1')).map(relu);
  return add(times(hidden, matrix(weights, 'W2')), flat(weights, 'b2')).map(Math.tanh);
}

export function discriminated(weights: Weights, window: Vector): number {
  if (window.length !== ganShape.steps * ganShape.tags) throw new Error('the window has another shape');
  const hidden = add(times(window, matrix(weights, 'W1')), flat(weights, 'b1'));
  const leaky = hidden.map((value) => (value < 0 ? 0.2 * value : value));
  return sigmoid(-(add(times(leaky, matrix(weights, 'W2')), flat(weights, 'b2'))[0] ?? 0));
}

/** Logits of the last position of a text, read whole: no cache. */
export function gptLogits(weights: Weights, tokens: Vector): Vector {
  const { width, heads, layers } = gptShape;
  const size = width / heads;
  const embedded = matrix(weights, 'tokens');
  const placed = matrix(weights, 'positions');
  let x: Matrix = tokens.map((token, place) => add(embedded[token] ?? [], placed[place] ?? []));
  for (let layer = 0; layer < layers; layer += 1) {
    const normal = x.map((row) => norm(row, flat(weights, `g1.${layer}`)));
    const project = (part: string) => normal.map((row) => times(row, matrix(weights, `${part}.${layer}`)));
    const [q, k, v] = [project('q'), project('k'), project('v')];
    const seen = q.map((query, place) =>
      Array.from({ length: heads }, (_, head) => {
        const part = (row: Vector) => row.slice(head * size, (head + 1) * size);
        const before = k.slice(0, place + 1);
        const shares = softmax(before.map((key) => dot(part(query), part(key)) / Math.sqrt(size)));
        return times(
          shares,
          v.slice(0, place + 1).map((value) => part(value)),
        );
      }).flat(),
    );
    const y = x.map((row, place) => add(row, times(seen[place] ?? [], matrix(weights, `o.${layer}`))));
    x = y.map((row) => {
      const wide = times(norm(row, flat(weights, `g2.${layer}`)), matrix(weights, `up.${layer}`)).map(relu);
      return add(row, times(wide, matrix(weights, `down.${layer}`)));
    });
  }
  return times(norm(x.at(-1) ?? [], flat(weights, 'gain')), matrix(weights, 'unembed'));
}

function norm(row: Vector, gain: Vector): Vector {
  const mean = sum(row) / row.length;
  const variance = sum(row.map((value) => (value - mean) ** 2)) / row.length;
  return row.map((value, index) => ((value - mean) / Math.sqrt(variance + 1e-5)) * (gain[index] ?? 0));
}

function softmax(values: Vector): Vector {
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  return powers.map((power) => power / sum(powers));
}

/** Row vector times matrix. */
function times(row: Vector, by: Matrix): Vector {
  return (by[0] ?? []).map((_, column) => sum(row.map((value, index) => value * (by[index]?.[column] ?? 0))));
}

function add(a: Vector, b: Vector): Vector {
  return a.map((value, index) => value + (b[index] ?? 0));
}

function dot(a: Vector, b: Vector): number {
  return sum(a.map((value, index) => value * (b[index] ?? 0)));
}

function sum(values: Vector): number {
  return values.reduce((total, value) => total + value, 0);
}

function relu(value: number): number {
  return Math.max(0, value);
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

function flat(weights: Weights, name: string): Vector {
  const found = weights.get(name);
  if (found === undefined) throw new Error(`no weights '${name}'`);
  return found.data;
}

function matrix(weights: Weights, name: string): Matrix {
  return rows(flat(weights, name), weights.get(name)?.dims.at(-1) ?? 1);
}

function rows(data: Vector, width: number): Matrix {
  return Array.from({ length: data.length / width }, (_, row) => data.slice(row * width, (row + 1) * width));
}

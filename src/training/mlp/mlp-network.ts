import { softmax } from '../core/calibration.ts';
import type { SeededDraws } from '../../domain/seeded-draws.ts';

/** One layer: output = input · weights + biases; weights of shape [inputs, outputs], row-major. */
type Layer = {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: Float64Array;
  readonly biases: Float64Array;
};

/** Layers with a rectifier between them; the last gives logits or a quality. */
export type Network = readonly Layer[];

const LEARNING_RATE = 2e-3;
/** Share that each step takes off the weights, times the learning rate. */
const WEIGHT_DECAY = 0.05;
/** Share of hidden outputs that are left out of a step. */
const DROPOUT = 0.3;
/** Decay of the running moments, and the term that avoids a division by zero (values of the paper). */
const MOMENT_DECAY = 0.9;
const SQUARE_DECAY = 0.999;
const EPSILON = 1e-8;

/** @see He et al., Delving Deep into Rectifiers, ICCV 2015, for the weights to start from. */
export function startingNetwork(sizes: readonly number[], draws: SeededDraws): Network {
  return sizes.slice(1).map((outputs, index) => {
    const inputs = sizes[index] ?? 0;
    const deviation = Math.sqrt(2 / inputs);
    const weights = Float64Array.from({ length: inputs * outputs }, () => draws.normal() * deviation);
    return { inputs, outputs, weights, biases: new Float64Array(outputs) };
  });
}

/** Returns the outputs of the last layer: shape [rows, outputs]. */
export function networkOutputs(network: Network, inputs: Float64Array, rows: number): Float64Array {
  return network.reduce((values, layer, index) => {
    const next = layerOutputs(layer, values, rows);
    return index + 1 < network.length ? rectified(next) : next;
  }, inputs);
}

/** Scaling of the last layer's outputs to the unit of a quality: output · factor + offset. */
export type OutputScale = { readonly offset: number; readonly factor: number };

/** Returns a copy with scaled outputs, and every weight as float32 has it. */
export function finishedNetwork(network: Network, { offset, factor }: OutputScale): Network {
  return network.map((layer, index) => {
    const [times, added] = index + 1 < network.length ? [1, 0] : [factor, offset];
    return {
      ...layer,
      weights: layer.weights.map((weight) => Math.fround(weight * times)),
      biases: layer.biases.map((bias) => Math.fround(bias * times + added)),
    };
  });
}

/**
 * Learns from small batches by Adam with decoupled weight decay.
 *
 * @see Kingma and Ba, Adam, ICLR 2015; Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019.
 */
export class NetworkTrainer {
  readonly network: Network;
  readonly #draws: SeededDraws;
  readonly #parameters: readonly LayerParameters[];
  #steps = 0;

  constructor(network: Network, draws: SeededDraws) {
    this.network = network;
    this.#draws = draws;
    this.#parameters = network.map((layer) => ({
      layer,
      weights: parameter(layer.weights, true),
      biases: parameter(layer.biases, false),
    }));
  }

  /**
   * One step down the loss of a batch: −ln of the probability of the class, or half the squared error.
   *
   * @param inputs Shape [rows, inputs].
   * @param classes 0 for a regression.
   * @param pace Times the learning rate.
   */
  step(inputs: Float64Array, targets: Float64Array, classes: number, pace: number): void {
    const rows = targets.length;
    let values = inputs;
    const layerInputs = this.#parameters.map(({ layer }, index) => {
      const own = values;
      const outputs = layerOutputs(layer, own, rows);
      values = index + 1 < this.network.length ? this.#dropped(rectified(outputs)) : outputs;
      return own;
    });
    let gradient = lossGradient(values, targets, classes);
    for (const { layer, weights, biases } of this.#parameters.toReversed()) {
      const own = layerInputs.pop() ?? inputs;
      addProduct(weights.gradient.fill(0), transposed(own, layer.inputs), gradient, rows);
      addProduct(biases.gradient.fill(0), new Float64Array(rows).fill(1), gradient, rows);
      if (own !== inputs) gradient = inputGradient(layer, own, gradient);
    }
    this.#steps += 1;
    for (const { weights, biases } of this.#parameters)
      for (const each of [weights, biases]) this.#descend(each, LEARNING_RATE * pace);
  }

  /** Applies dropout; the remaining values are scaled up, so that the expected sum stays the same. */
  #dropped(values: Float64Array): Float64Array {
    for (let index = 0; index < values.length; index += 1) {
      values[index] = this.#draws.uniform() < DROPOUT ? 0 : (values[index] ?? 0) / (1 - DROPOUT);
    }
    return values;
  }

  #descend({ values, gradient, moments, squares, decays }: Parameter, learningRate: number): void {
    const momentScale = 1 / (1 - MOMENT_DECAY ** this.#steps);
    const squareScale = 1 / (1 - SQUARE_DECAY ** this.#steps);
    const decay = decays ? learningRate * WEIGHT_DECAY : 0;
    for (let index = 0; index < values.length; index += 1) {
      const slope = gradient[index] ?? 0;
      const moment = MOMENT_DECAY * (moments[index] ?? 0) + (1 - MOMENT_DECAY) * slope;
      const square = SQUARE_DECAY * (squares[index] ?? 0) + (1 - SQUARE_DECAY) * slope * slope;
      moments[index] = moment;
      squares[index] = square;
      const step = (learningRate * moment * momentScale) / (Math.sqrt(square * squareScale) + EPSILON);
      values[index] = (values[index] ?? 0) * (1 - decay) - step;
    }
  }
}

type LayerParameters = { readonly layer: Layer; readonly weights: Parameter; readonly biases: Parameter };

type Parameter = {
  readonly values: Float64Array;
  readonly gradient: Float64Array;
  readonly moments: Float64Array;
  readonly squares: Float64Array;
  readonly decays: boolean;
};

function parameter(values: Float64Array, decays: boolean): Parameter {
  const zeros = () => new Float64Array(values.length);
  return { values, decays, gradient: zeros(), moments: zeros(), squares: zeros() };
}

function layerOutputs({ inputs, outputs, weights, biases }: Layer, values: Float64Array, rows: number): Float64Array {
  const sums = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row += 1) sums.set(biases, row * outputs);
  return addProduct(sums, values, weights, inputs);
}

/** Adds left · right to sums and returns them. `inner` is the number of columns of `left` and of rows of `right`. */
function addProduct(sums: Float64Array, left: Float64Array, right: Float64Array, inner: number): Float64Array {
  const columns = right.length / inner;
  for (let cell = 0; cell < left.length; cell += 1) {
    const value = left[cell] ?? 0;
    // About half of all inputs are 0: ramps not reached, units not active.
    if (value === 0) continue;
    const to = Math.floor(cell / inner) * columns;
    const from = (cell % inner) * columns;
    for (let column = 0; column < columns; column += 1) {
      sums[to + column] = (sums[to + column] ?? 0) + value * (right[from + column] ?? 0);
    }
  }
  return sums;
}

/** @param columns Of the values. */
function transposed(values: Float64Array, columns: number): Float64Array {
  const rows = values.length / columns;
  const result = new Float64Array(values.length);
  for (let cell = 0; cell < values.length; cell += 1)
    result[(cell % columns) * rows + Math.floor(cell / columns)] = values[cell] ?? 0;
  return result;
}

function rectified(values: Float64Array): Float64Array {
  for (let index = 0; index < values.length; index += 1) if ((values[index] ?? 0) < 0) values[index] = 0;
  return values;
}

/** Returns the gradient of the mean loss by each output of the last layer. */
function lossGradient(outputs: Float64Array, targets: Float64Array, classes: number): Float64Array {
  const rows = targets.length;
  if (classes === 0) return outputs.map((output, row) => (output - (targets[row] ?? 0)) / rows);
  return softmax(outputs, classes).map((probability, index) => {
    const happened = targets[Math.floor(index / classes)] === index % classes;
    return (probability - Number(happened)) / rows;
  });
}

/** Returns the gradient by the inputs, zero for rectified and dropped values. */
function inputGradient({ outputs, weights }: Layer, values: Float64Array, gradient: Float64Array): Float64Array {
  const passed = addProduct(new Float64Array(values.length), gradient, transposed(weights, outputs), outputs);
  return passed.map((sum, index) => (values[index] === 0 ? 0 : sum / (1 - DROPOUT)));
}

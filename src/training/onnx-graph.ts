import onnxProto from 'onnx-proto';

const { onnx } = onnxProto;
const { TensorProto, AttributeProto } = onnx;

/** Operator set of the graphs made here: old enough for every runtime of the last years. */
const OPSET = 13;
/** File format version that goes with the operator set. */
const IR_VERSION = 7;

type Attribute = number | readonly number[];

/**
 * Builds an ONNX graph node by node; the same calls always give the same bytes.
 *
 * Every method that adds something returns the name of its result, so that a graph reads like the formula.
 */
export class OnnxGraph {
  readonly #name: string;
  readonly #nodes: onnxProto.onnx.INodeProto[] = [];
  readonly #constants: onnxProto.onnx.ITensorProto[] = [];
  readonly #inputs: onnxProto.onnx.IValueInfoProto[] = [];
  readonly #outputs: onnxProto.onnx.IValueInfoProto[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  /** @param dims A name is a dimension of any size. */
  input(name: string, dims: readonly (number | string)[]): string {
    this.#inputs.push(floatInfo(name, dims));
    return name;
  }

  /** Makes the graph give `value` under `name`. */
  output(name: string, value: string, dims: readonly (number | string)[]): void {
    this.#nodes.push({ opType: 'Identity', name, input: [value], output: [name] });
    this.#outputs.push(floatInfo(name, dims));
  }

  /** A float32 tensor in the file, row-major; values are rounded to the nearest float32. */
  floats(name: string, dims: readonly number[], values: ArrayLike<number>): string {
    const data = new DataView(new ArrayBuffer(values.length * 4));
    // ONNX stores raw data little-endian, whatever the machine.
    for (let index = 0; index < values.length; index += 1) data.setFloat32(index * 4, values[index] ?? 0, true);
    return this.#constant(name, dims, TensorProto.DataType.FLOAT, data);
  }

  /** An int64 tensor of one dimension, as operators take for axes and shapes. */
  integers(name: string, values: readonly number[]): string {
    const data = new DataView(new ArrayBuffer(values.length * 8));
    values.forEach((value, index) => data.setBigInt64(index * 8, BigInt(value), true));
    return this.#constant(name, [values.length], TensorProto.DataType.INT64, data);
  }

  /** Adds an operator with one result, which gets the node's name. */
  node(
    opType: string,
    name: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    const attribute = Object.entries(attributes).map(([key, value]) =>
      typeof value === 'number'
        ? { name: key, type: AttributeProto.AttributeType.INT, i: value }
        : { name: key, type: AttributeProto.AttributeType.INTS, ints: [...value] },
    );
    this.#nodes.push({ opType, name, input: [...inputs], output: [name], attribute });
    return name;
  }

  /** The model file. */
  bytes(): Uint8Array {
    const model = onnx.ModelProto.create({
      irVersion: IR_VERSION,
      producerName: 'andon',
      opsetImport: [{ domain: '', version: OPSET }],
      graph: {
        name: this.#name,
        node: this.#nodes,
        initializer: this.#constants,
        input: this.#inputs,
        output: this.#outputs,
      },
    });
    return new Uint8Array(onnx.ModelProto.encode(model).finish());
  }

  #constant(name: string, dims: readonly number[], dataType: number, data: DataView): string {
    this.#constants.push({ name, dims: [...dims], dataType, rawData: new Uint8Array(data.buffer) });
    return name;
  }
}

function floatInfo(name: string, dims: readonly (number | string)[]): onnxProto.onnx.IValueInfoProto {
  const dim = dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: TensorProto.DataType.FLOAT, shape: { dim } } } };
}

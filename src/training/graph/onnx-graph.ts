import onnxProto from 'onnx-proto';

const { onnx } = onnxProto;
const { TensorProto, AttributeProto } = onnx;

/** Operator set of the graphs made here: old enough for every runtime of the last years. */
const OPSET = 13;
/** File format version of the operator set. */
const IR_VERSION = 7;

/** Operator set of the tree operators, in the domain of their own. */
const ML_DOMAIN = 'ai.onnx.ml';
const ML_OPSET = 1;

/** An integer, integers, or an explicit kind with its value. */
type Attribute =
  | number
  | readonly number[]
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly text: string };

type Attributes = Readonly<Record<string, Attribute>>;

/** Types that a value can be cast to. */
const castTypes = { float32: TensorProto.DataType.FLOAT, float64: TensorProto.DataType.DOUBLE } as const;

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
    this.#inputs.push(tensorInfo(name, dims, 'float32'));
    return name;
  }

  /** Makes the graph give `value` under `name`. */
  output(name: string, value: string, dims: readonly (number | string)[], type: 'float32' | 'int64' = 'float32'): void {
    this.#nodes.push({ opType: 'Identity', name, input: [value], output: [name] });
    this.#outputs.push(tensorInfo(name, dims, type));
  }

  /** A float32 tensor in the file, row-major; values are rounded to the nearest float32. */
  floats(name: string, dims: readonly number[], values: ArrayLike<number>): string {
    return this.#constant(name, dims, TensorProto.DataType.FLOAT, Float32Array.from(values));
  }

  /** A float64 tensor in the file, row-major. */
  doubles(name: string, dims: readonly number[], values: ArrayLike<number>): string {
    return this.#constant(name, dims, TensorProto.DataType.DOUBLE, Float64Array.from(values));
  }

  /** An int64 tensor of one dimension, as operators take for axes and shapes. */
  integers(name: string, values: readonly number[]): string {
    return this.#constant(name, [values.length], TensorProto.DataType.INT64, BigInt64Array.from(values, BigInt));
  }

  /** Adds an operator with one result, which gets the node's name. */
  node(opType: string, name: string, inputs: readonly string[], attributes: Attributes = {}, domain = ''): string {
    const attribute = attributesOf(attributes);
    this.#nodes.push({
      opType,
      name,
      ...(domain === '' ? {} : { domain }),
      input: [...inputs],
      output: [name],
      attribute,
    });
    return name;
  }

  cast(name: string, value: string, type: keyof typeof castTypes): string {
    return this.node('Cast', name, [value], { to: castTypes[type] });
  }

  /** Adds an operator of the machine learning domain (tree ensembles) with one result, which gets the node's name. */
  learned(opType: string, name: string, inputs: readonly string[], attributes: Attributes): string {
    return this.node(opType, name, inputs, attributes, ML_DOMAIN);
  }

  /** The model file. */
  bytes(): Uint8Array {
    const model = onnx.ModelProto.create({
      irVersion: IR_VERSION,
      producerName: 'andon',
      opsetImport: [
        { domain: '', version: OPSET },
        ...(this.#nodes.some(({ domain }) => domain === ML_DOMAIN) ? [{ domain: ML_DOMAIN, version: ML_OPSET }] : []),
      ],
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

  /** ONNX stores raw data little-endian, as every machine does that ONNX Runtime runs on. */
  #constant(
    name: string,
    dims: readonly number[],
    dataType: number,
    data: Float32Array | Float64Array | BigInt64Array,
  ): string {
    this.#constants.push({ name, dims: [...dims], dataType, rawData: new Uint8Array(data.buffer) });
    return name;
  }
}

function attributesOf(attributes: Attributes): onnxProto.onnx.IAttributeProto[] {
  const { INT, INTS, FLOATS, STRING, STRINGS } = AttributeProto.AttributeType;
  const utf8 = new TextEncoder();
  return Object.entries(attributes).map(([name, value]) => {
    if (typeof value === 'number') return { name, type: INT, i: value };
    if ('floats' in value) return { name, type: FLOATS, floats: [...value.floats] };
    if ('strings' in value) return { name, type: STRINGS, strings: value.strings.map((text) => utf8.encode(text)) };
    if ('text' in value) return { name, type: STRING, s: utf8.encode(value.text) };
    return { name, type: INTS, ints: [...value] };
  });
}

function tensorInfo(
  name: string,
  dims: readonly (number | string)[],
  type: 'float32' | 'int64',
): onnxProto.onnx.IValueInfoProto {
  const dim = dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  const elemType = type === 'float32' ? TensorProto.DataType.FLOAT : TensorProto.DataType.INT64;
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

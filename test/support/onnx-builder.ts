import onnxProto, { type onnx as Onnx } from 'onnx-proto';
import type { TensorType } from '../../src/contracts/inference.ts';

const { onnx } = onnxProto;

/** A name is a dimension of any size. */
type GraphDim = number | string;
type GraphValue = { readonly name: string; readonly type: TensorType; readonly dims: readonly GraphDim[] };
export type GraphInitializer = {
  readonly name: string;
  readonly type: 'float32' | 'int64' | 'bool';
  readonly dims: readonly number[];
  readonly data: readonly number[];
  /** Little-endian bytes in the place of `data`, as exporters write large weights. */
  readonly raw?: Uint8Array;
  /** Makes the data external, at this location, as in a manipulated file. */
  readonly externalLocation?: string;
};
type GraphAttribute =
  | number
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly text: string }
  | { readonly texts: readonly string[] }
  | GraphDefinition;
type GraphNode = {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, GraphAttribute>>;
};
export type GraphDefinition = {
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly initializers?: readonly GraphInitializer[];
  readonly nodes: readonly GraphNode[];
};

const elementTypes: Readonly<Record<TensorType, number>> = {
  float16: onnx.TensorProto.DataType.FLOAT16,
  int8: onnx.TensorProto.DataType.INT8,
  int16: onnx.TensorProto.DataType.INT16,
  uint16: onnx.TensorProto.DataType.UINT16,
  uint32: onnx.TensorProto.DataType.UINT32,
  uint64: onnx.TensorProto.DataType.UINT64,
  float32: onnx.TensorProto.DataType.FLOAT,
  float64: onnx.TensorProto.DataType.DOUBLE,
  int32: onnx.TensorProto.DataType.INT32,
  int64: onnx.TensorProto.DataType.INT64,
  uint8: onnx.TensorProto.DataType.UINT8,
  bool: onnx.TensorProto.DataType.BOOL,
  string: onnx.TensorProto.DataType.STRING,
};

/** Bytes of a `model.onnx`, opset 13. */
export function buildOnnx(graph: GraphDefinition): Uint8Array {
  return onnx.ModelProto.encode(
    onnx.ModelProto.create({
      irVersion: 8,
      producerName: 'andon-test',
      opsetImport: [{ domain: '', version: 13 }],
      graph: graphProto(graph, 'graph'),
    }),
  ).finish();
}

function graphProto(graph: GraphDefinition, name: string): Onnx.IGraphProto {
  return {
    name,
    input: graph.inputs.map(valueInfo),
    output: graph.outputs.map(valueInfo),
    initializer: (graph.initializers ?? []).map(tensorProto),
    node: graph.nodes.map((node, index) => ({
      name: `${name}-${node.op}-${index}`,
      opType: node.op,
      input: [...node.inputs],
      output: [...node.outputs],
      attribute: Object.entries(node.attributes ?? {}).map(([key, value]) => attributeProto(key, value)),
    })),
  };
}

function valueInfo(value: GraphValue): Onnx.IValueInfoProto {
  const dim = value.dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name: value.name, type: { tensorType: { elemType: elementTypes[value.type], shape: { dim } } } };
}

function tensorProto(tensor: GraphInitializer): Onnx.ITensorProto {
  const common = { name: tensor.name, dims: [...tensor.dims], dataType: elementTypes[tensor.type] };
  if (tensor.externalLocation !== undefined)
    return {
      ...common,
      dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
      externalData: [{ key: 'location', value: tensor.externalLocation }],
    };
  if (tensor.raw !== undefined) return { ...common, rawData: tensor.raw };
  switch (tensor.type) {
    case 'float32':
      return { ...common, floatData: [...tensor.data] };
    case 'int64':
      return { ...common, int64Data: [...tensor.data] };
    case 'bool':
      return { ...common, int32Data: [...tensor.data] };
  }
}

function attributeProto(name: string, value: GraphAttribute): Onnx.IAttributeProto {
  const { AttributeType } = onnx.AttributeProto;
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: value };
  if (Array.isArray(value)) return { name, type: AttributeType.INTS, ints: [...(value as readonly number[])] };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  if ('floats' in value) return { name, type: AttributeType.FLOATS, floats: [...value.floats] };
  if ('text' in value) return { name, type: AttributeType.STRING, s: Buffer.from(value.text) };
  if ('texts' in value)
    return { name, type: AttributeType.STRINGS, strings: value.texts.map((text) => Buffer.from(text)) };
  return { name, type: AttributeType.GRAPH, g: graphProto(value as GraphDefinition, `body-of-${name}`) };
}

import onnxProto from 'onnx-proto';

/** Unicode's case mapping without an installed language; every system with glibc 2.35 or later has it. */
const LOCALE = 'C.UTF-8';
/** Languages whose case mapping differs from that of `LOCALE`. */
const OWN_MAPPING = /^(?:az|lt|tr)/;

/** Returns whether ONNX Runtime failed because the locale of a StringNormalizer is not installed. */
export function isLocaleError(message: string): boolean {
  return message.includes('Failed to construct locale');
}

/**
 * Returns a model whose StringNormalizer operators use a locale that needs no language pack. They convert upper and lower
 * case as with en_US, the default of the operator.
 *
 * @returns Undefined if a locale maps case in its own way, or the model has no such operator.
 */
export function withPortableLocale(modelBytes: Uint8Array): Uint8Array | undefined {
  const { AttributeProto, ModelProto } = onnxProto.onnx;
  const model = ModelProto.decode(modelBytes);
  const nodes = normalizersIn(model.graph);
  const localeOf = (node: onnxProto.onnx.INodeProto) => node.attribute?.find(({ name }) => name === 'locale');
  if (nodes.length === 0 || nodes.some((node) => OWN_MAPPING.test(Buffer.from(localeOf(node)?.s ?? []).toString())))
    return undefined;
  const locale = { name: 'locale', type: AttributeProto.AttributeType.STRING, s: Buffer.from(LOCALE) };
  for (const node of nodes)
    node.attribute = [...(node.attribute ?? []).filter(({ name }) => name !== 'locale'), locale];
  return ModelProto.encode(model).finish();
}

function normalizersIn(graph: onnxProto.onnx.IGraphProto | null | undefined): readonly onnxProto.onnx.INodeProto[] {
  return (graph?.node ?? []).flatMap((node) => [
    ...(node.opType === 'StringNormalizer' ? [node] : []),
    ...(node.attribute ?? []).flatMap(({ g }) => normalizersIn(g)),
  ]);
}

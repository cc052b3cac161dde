import onnxProto from 'onnx-proto';

/**
 * Finds the tensors whose values are in files outside the graph.
 *
 * ONNX Runtime (1.30) resolves such a file name against the working directory when a model is loaded from bytes, so a
 * weight could be read from any file that the agent can read. The whole decoded message is searched, including
 * attributes, subgraphs and functions.
 *
 * @returns Names of the tensors with external data.
 * @throws {Error} The bytes are not an ONNX model.
 */
export function externalDataTensors(modelBytes: Uint8Array): readonly string[] {
  const found: string[] = [];
  const pending: unknown[] = [onnxProto.onnx.ModelProto.decode(modelBytes)];
  while (pending.length > 0) {
    const node = pending.pop();
    if (typeof node !== 'object' || node === null || ArrayBuffer.isView(node)) continue;
    if (isExternal(node)) found.push('name' in node ? String(node.name) : '');
    const children: readonly unknown[] = Object.values(node);
    for (const child of children) if (typeof child === 'object' && child !== null) pending.push(child);
  }
  return found;
}

function isExternal(node: object): boolean {
  const { EXTERNAL } = onnxProto.onnx.TensorProto.DataLocation;
  if ('dataLocation' in node && node.dataLocation === EXTERNAL) return true;
  return 'externalData' in node && Array.isArray(node.externalData) && node.externalData.length > 0;
}

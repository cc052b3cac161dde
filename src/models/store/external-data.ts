import onnxProto from 'onnx-proto';

/**
 * Finds the files outside the graph that a model wants to read.
 *
 * ONNX lets a tensor name a file to take its values from; loaded from bytes, ONNX Runtime (1.30) resolves it
 * against the working directory, so that a weight can be filled from any file the agent may read. The whole decoded
 * message is walked (initializers, attributes, subgraphs, functions), so that no place is forgotten.
 *
 * @returns Names of the tensors with external data; empty where the graph is complete in itself.
 * @throws {Error} Where the bytes are no ONNX model.
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

import { open, realpath } from 'node:fs/promises';
import { sep } from 'node:path';
import { formatByteSize } from '../../domain/byte-size.ts';
import { sha256 } from '../../platform/sha256.ts';
import { errorMessage } from '../../platform/errors.ts';
import { externalDataTensors } from './external-data.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';

/**
 * Reads the `model.onnx` of a version once, and checks its SHA-256 and that it needs no other files.
 *
 * @param directory Absolute path of the model directory.
 * @throws {OperatingError} 'model-file-invalid'.
 */
export async function readModelFile(
  stored: { readonly modelPath: string; readonly sha256: string },
  directory: string,
  bytesMax: number,
): Promise<Uint8Array> {
  const { modelPath } = stored;
  const bytes = await readBounded(modelPath, directory, bytesMax);
  checkDigest(modelPath, bytes, stored.sha256);
  const external = externalTensors(modelPath, bytes);
  if (external.length > 0)
    throw inferenceFailure(
      'model-file-invalid',
      `${modelPath} takes values from other files (tensors ${external.slice(0, 3).join(', ')}). Save the model with its values inside: torch.onnx.export(…, external_data=False), or onnx.save(onnx.load('model.onnx'), 'model.onnx') next to its data file`,
    );
  return bytes;
}

function externalTensors(path: string, bytes: Uint8Array): readonly string[] {
  try {
    return externalDataTensors(bytes);
  } catch (error) {
    throw inferenceFailure('model-file-invalid', `${path} is not an ONNX model: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/**
 * Reads a whole file of the model directory once.
 *
 * @param directory The folder that must contain the file after all symbolic links are resolved.
 * @throws {OperatingError} 'model-file-invalid' if it is missing, not a plain file, too large or outside the directory.
 */
export async function readBounded(path: string, directory: string, bytesMax: number): Promise<Uint8Array> {
  try {
    await using file = await openInside(path, directory);
    const { size } = await file.stat();
    if (size > bytesMax)
      throw inferenceFailure(
        'model-file-invalid',
        `${path} has ${formatByteSize(size)}, more than the ${formatByteSize(bytesMax)} allowed`,
      );
    // At most the size at the start is read, so a file that grows meanwhile stays within the limit.
    const bytes = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      const { bytesRead } = await file.read(bytes, filled, size - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  } catch (error) {
    throw fileFailure(path, error);
  }
}

async function openInside(path: string, directory: string) {
  const [realPath, realDirectory] = await Promise.all([realpath(path), realpath(directory)]);
  if (!realPath.startsWith(realDirectory + sep))
    throw inferenceFailure('model-file-invalid', `${path} leads to ${realPath}, outside ${realDirectory}`);
  const file = await open(realPath, 'r');
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw inferenceFailure('model-file-invalid', `${path} is not a plain file`);
}

function fileFailure(path: string, error: unknown): Error {
  if (error instanceof Error && 'code' in error && error.code === 'model-file-invalid') return error;
  const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
  return inferenceFailure('model-file-invalid', missing ? `${path} is missing` : `${path}: ${errorMessage(error)}`, {
    cause: error,
  });
}

/** @throws {OperatingError} 'model-file-invalid' if the SHA-256 differs from the manifest. */
function checkDigest(path: string, bytes: Uint8Array, expected: string): void {
  const found = sha256(bytes);
  if (found !== expected)
    throw inferenceFailure('model-file-invalid', `${path} has SHA-256 ${found}, but model.yaml has ${expected}`);
}

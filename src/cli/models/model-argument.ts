import type { ExactModel } from '../../contracts/model-registry.ts';
import { type ModelReference, parseModelReference } from '../../domain/model/model-reference.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';

/** @throws {OperatingError} 'model-file-invalid' */
export function referenceOf(text: string): ModelReference {
  const model = parseModelReference(text);
  if (model !== undefined) return model;
  throw inferenceFailure('model-file-invalid', `'${text}' is not a model. Expected NAME or NAME@VERSION`);
}

/** @throws {OperatingError} 'model-file-invalid', also if the version is missing. */
export function exactModel(text: string): ExactModel {
  const { name, version } = referenceOf(text);
  if (version !== undefined) return { name, version };
  throw inferenceFailure('model-file-invalid', `'${name}' has no version. Expected ${name}@VERSION`);
}

/** Returns whether an argument is a folder (`./1`, `build/pump`, `.`) and not a model of the model directory. */
export function namesFolder(text: string): boolean {
  return parseModelReference(text) === undefined && (text.includes('/') || text.startsWith('.'));
}

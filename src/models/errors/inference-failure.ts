import { OperatingError } from '../../platform/errors.ts';
import type { InferenceErrorCode } from './inference-errors.ts';
import { inferenceErrors } from './inference-errors.ts';

/** An OperatingError with the disposition that the catalogue gives its code. */
export function inferenceFailure(code: InferenceErrorCode, message: string, options?: ErrorOptions): OperatingError {
  return new OperatingError(code, inferenceErrors[code].disposition, message, options);
}

import { OperatingError } from '../../platform/errors.ts';
import { type InferenceErrorCode, inferenceErrors } from './inference-errors.ts';

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export function inferenceFailure(code: InferenceErrorCode, message: string, options?: ErrorOptions): OperatingError {
  return new OperatingError(code, inferenceErrors[code].disposition, message, options);
}

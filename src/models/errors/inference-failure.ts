import { failures } from '../../platform/errors.ts';
import { inferenceErrors } from './inference-errors.ts';

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const inferenceFailure = failures(inferenceErrors);

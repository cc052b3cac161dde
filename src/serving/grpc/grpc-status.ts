import { status } from '@grpc/grpc-js';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';

/** Status by error code, if it is not UNAVAILABLE for errors that pass and INVALID_ARGUMENT for the others. */
const statusOfCode: Readonly<Record<string, status>> = {
  'infer-request-unsupported': status.UNIMPLEMENTED,
  'infer-request-too-large': status.RESOURCE_EXHAUSTED,
  'model-unknown': status.NOT_FOUND,
  'model-version-unknown': status.NOT_FOUND,
  'model-absent': status.NOT_FOUND,
  'model-in-use': status.FAILED_PRECONDITION,
  'too-many-models': status.RESOURCE_EXHAUSTED,
  'inference-timeout': status.DEADLINE_EXCEEDED,
  // The request was valid; the output of the model was not.
  'model-output-invalid': status.INTERNAL,
  'login-needed': status.UNAUTHENTICATED,
  'role-needed': status.PERMISSION_DENIED,
};

/** Returns the status of a failed call. `details` starts with the same text as the answer over HTTP. */
export function statusOf(error: unknown): { readonly code: status; readonly details: string } {
  const details = errorMessage(error);
  if (!(error instanceof OperatingError)) return { code: status.INTERNAL, details };
  const fallback = error.disposition === 'retry' ? status.UNAVAILABLE : status.INVALID_ARGUMENT;
  return { code: statusOfCode[errorCode(error)] ?? fallback, details };
}

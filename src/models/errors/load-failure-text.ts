import { ConfigError, errorMessage, OperatingError } from '../../platform/errors.ts';

/** Returns why a model cannot be used, for an operator. */
export function loadFailureText(error: unknown): string {
  if (error instanceof ConfigError || error instanceof OperatingError) return error.message;
  return `could not be loaded: ${errorMessage(error)}`;
}

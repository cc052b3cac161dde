import { OperatingError } from '../../platform/errors.ts';

/** Returns whether the host ended, in contrast to an error that it returned. */
export function isLoss(error: unknown): boolean {
  return error instanceof OperatingError && (error.code === 'host-crashed' || error.code === 'inference-timeout');
}

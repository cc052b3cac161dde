import { OperatingError } from '../../platform/errors.ts';

/** Whether the host itself was lost, rather than answering with an error. */
export function isLoss(error: unknown): boolean {
  return error instanceof OperatingError && (error.code === 'host-crashed' || error.code === 'inference-timeout');
}

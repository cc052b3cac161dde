import type { VersionLedger } from '../contracts/rollout-models.ts';
import { unfinishedRollback } from '../domain/rollout/rollout-plan.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import type { Logger } from '../platform/log.ts';

export type RejectedCandidate = {
  readonly name: string;
  readonly version: number;
  readonly reason: string;
  /** Whether it is the active version, which is then rolled back. */
  readonly isActive: boolean;
};

/**
 * Remembers that a candidate was found bad, and rolls it back where it is active. Remembered first: where the power goes
 * between the two, the next start finishes the rollback.
 *
 * @returns Why it is not to be rolled back; '' where it was, or did not have to be, or the directory cannot be written.
 */
export async function rejectCandidate(
  ledger: VersionLedger,
  candidate: RejectedCandidate,
  log: Logger,
): Promise<string> {
  const { name, version, reason, isActive } = candidate;
  const fields = { model: name, version };
  try {
    await ledger.reject(name, version, reason);
  } catch (error) {
    log.error(fields, `It is not remembered as rejected after a restart: ${errorMessage(error)}`);
  }
  if (!isActive) return '';
  try {
    await ledger.rollback(name, version, reason);
    log.warn(fields, `Rolled back: ${reason}`);
    return '';
  } catch (error) {
    log.error(fields, `It should be rolled back, and could not be: ${errorMessage(error)}`);
    return errorCode(error) === 'model-rollback-refused' ? errorMessage(error) : '';
  }
}

/** Finishes a rollback that was cut off, so that no rejected version decides. */
export async function finishRollback(ledger: VersionLedger, name: string, log: Logger): Promise<void> {
  try {
    const rejection = unfinishedRollback(await ledger.standing(name));
    if (rejection === undefined) return;
    await ledger.rollback(name, rejection.version, rejection.reason);
    log.warn({ model: name, version: rejection.version }, `Rolled back: ${rejection.reason}`);
  } catch (error) {
    log.error({ model: name }, `A rejected version may be active: ${errorMessage(error)}`);
  }
}
